"""Images that each are a file: on a disk that all machines see, or at an address."""

from __future__ import annotations

import dataclasses
import glob
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from clipspect.base import clock
from clipspect.base.errors import ClipspectError, ImageError
from clipspect.base.plug_ins import described
from clipspect.frame.item import Item
from clipspect.frame.raster_file import EncodedImage
from clipspect.sources.files import Files
from clipspect_lab.archive.remote import fetched, is_remote, is_there_remote

_FETCHES = 8  # files that are fetched at once: an object store answers late, and many at once
_MOST_AHEAD = 64_000_000  # bytes that are fetched before they are inspected, beside one image
_UNKNOWN_SIZE = 8_000_000

Fetched: TypeAlias = "Future[EncodedImage | ImageError]"


@dataclass(frozen=True)
class Images:
    """Files by their paths and addresses."""

    source: str

    def items(self, images: pa.Table) -> Iterator[Item]:
        rows = [_Row.of(row) for row in images.select(["path", "number", "size", "modified_ns"]).to_pylist()]
        with ThreadPoolExecutor(_FETCHES, "clipspect-fetch") as pool:
            waiting: deque[tuple[_Row, Fetched | None]] = deque()
            ahead = 0
            for row in rows:
                while waiting and (len(waiting) == _FETCHES or ahead + row.size_at_most > _MOST_AHEAD):
                    ahead -= waiting[0][0].size_at_most if waiting[0][1] is not None else 0
                    yield self._item(*waiting.popleft())
                remote = is_remote(row.path)
                waiting.append((row, pool.submit(fetched, row.path, row.size) if remote else None))
                ahead += row.size_at_most if remote else 0
            while waiting:
                yield self._item(*waiting.popleft())

    def require_there(self) -> None:
        require_there(self.source)

    def _item(self, row: _Row, content: Fetched | None) -> Item:
        if content is not None:
            captured = None if row.modified_ns is None else clock.from_file_time(row.modified_ns)
            return Item(self.source, row.number, captured, content.result())
        item = next(iter(Files(self.source, (Path(row.path),))))
        return dataclasses.replace(item, number=row.number)


@dataclass(frozen=True)
class _Row:
    path: str
    number: int
    size: int | None
    modified_ns: int | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> _Row:
        return cls(os.fsdecode(row["path"]), row["number"], row["size"], row["modified_ns"])

    @property
    def size_at_most(self) -> int:
        return _UNKNOWN_SIZE if self.size is None else self.size


def require_there(source: str) -> None:
    """Raises ClipspectError where this machine does not see a source at all."""
    try:
        there = _is_there(source)
        reason = "nothing is there"
    except Exception as error:  # a file system's own
        there, reason = False, described(error)
    if not there:
        raise ClipspectError(
            f"{source}: a worker cannot see it ({reason}): every machine of the cluster needs it under this name"
        )


def _is_there(source: str) -> bool:
    """Of a folder: whether it has anything in it. One that nothing is mounted on is there, and empty."""
    if is_remote(source):
        return is_there_remote(source)
    if os.path.isdir(source):
        return any(os.scandir(source))
    return os.path.exists(source) or any(glob.iglob(source, recursive=True))
