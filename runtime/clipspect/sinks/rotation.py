"""When a log begins a new file: by its size, each day, or never."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

_SIZE = re.compile(r"([1-9][0-9]{0,8})(kB|MB|GB)")
_BYTES = {"kB": 10**3, "MB": 10**6, "GB": 10**9}


@dataclass(frozen=True)
class Rotation:
    """A file of a log ends before the line that would make it larger than `size`, or that is of another day."""

    size: int | None = None  # bytes
    daily: bool = False  # by the records' time, which is UTC

    def due(self, size: int, line: int, last_time: str, time: str) -> bool:
        """Whether a line of `line` bytes begins a new file; the file has `size` bytes, the times are of records."""
        too_large = self.size is not None and size + line > self.size
        return size > 0 and (too_large or (self.daily and last_time[:10] != time[:10]))


NEVER = Rotation()
DEFAULT_ROTATION = "100MB"


def parse_rotation(text: str) -> Rotation:
    """Raises ValueError with what was expected."""
    if text == "never":
        return Rotation()
    if text == "day":
        return Rotation(daily=True)
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a size as 100MB (kB, MB, GB), day or never, found {text!r}")
    return Rotation(size=int(found[1]) * _BYTES[found[2]])


def rotated_name(path: Path) -> Path:
    """A free name for the file that a log ends now."""
    moment = datetime.now(timezone.utc)
    while True:
        time = moment.isoformat(timespec="milliseconds").removesuffix("+00:00").replace(":", "-")
        name = path.with_name(f"{path.stem}-{time}Z{path.suffix}")
        if not os.path.lexists(name):
            return name
        moment += timedelta(milliseconds=1)
