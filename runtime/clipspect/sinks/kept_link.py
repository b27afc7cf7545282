"""The last link of a log, kept apart from it: by it a log is known that was cut at its end, or made again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec

from clipspect.base.document import MismatchError, build
from clipspect.base.errors import ClipspectError
from clipspect.inspection.record import Link
from clipspect.sinks.records import json_object

RESULTS = "results.jsonl"  # the log's name in its folder
CHAIN = Path(".watch", "chain.json")  # beside the log
_LENGTH = 512  # bytes of the file, one sector, so that it is overwritten at once and needs no space later


class KeptLink:
    """A file that is written over after each line of the log, without waiting for the disk.

    What is in it has been in the log before, on the disk: after a power cut it can be behind the log, never ahead.
    `damaged` says that it could not be read; it is then as if there were none.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.damaged: str | None = None
        try:
            self.link = read_kept_link(path)
        except ClipspectError as error:
            self.link, self.damaged = None, str(error)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)

    def keep(self, link: Link) -> None:
        """Raises OSError."""
        os.pwrite(self._file, json.dumps(msgspec.to_builtins(link)).encode().ljust(_LENGTH - 1) + b"\n", 0)
        self.link = link

    def close(self) -> None:
        os.close(self._file)


def read_kept_link(path: Path) -> Link | None:
    """None where there is none. Raises ClipspectError for a file that is damaged."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ClipspectError(f"{path}: cannot be read ({error.strerror}): check its rights") from error
    if not content.strip(b"\0"):  # a power cut before the first line
        return None
    try:
        return build(Link, json_object(content), str(path))
    except MismatchError as error:
        raise ClipspectError(
            f"{error}: it kept the log's last digest, so nobody knows whether the log was cut at its end: "
            "clipspect watch writes it anew"
        ) from error
