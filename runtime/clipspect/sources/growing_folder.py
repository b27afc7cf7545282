"""A folder that grows, as a source: each file once, without a log of what came before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from clipspect.base.errors import ImageError
from clipspect.frame.item import Item
from clipspect.sources.folder import Folder
from clipspect.sources.problem import Problem, to_log


class GrowingFolder:
    """Items of a folder's images, as they come; an iterator that any thread may `close`."""

    def __init__(self, root: Path, settle: float, skip: Path | None, stop: object, problem: Problem | None) -> None:
        self._came: set[str] = set()
        self._folder = Folder(
            root,
            skip=skip,
            settle=settle,
            give_up=settle,
            known=lambda part: part.id in self._came,
            problem=problem or to_log(str(root)),
        )
        self._items = self._folder.ready(stop)

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        item = next(self._items)
        candidate = self._folder.under_way(item)
        self._came.add(candidate.part.id)
        self._folder.release(candidate)
        return item

    def close(self) -> None:
        """No more come."""
        self._folder.close()


def folder(
    root: str | os.PathLike[str],
    *,
    settle: float = 1.0,
    skip: str | os.PathLike[str] | None = None,
    stop: object = False,
    problem: Problem | None = None,
) -> GrowingFolder:
    """Every image that is in a folder or comes into it, subfolders included, once it is complete.

    That is at once when it is renamed into place, or closed by who wrote it, on this machine; what was there before,
    and what comes over a network share, when it did not change for `settle` seconds. It waits for the next until `stop`
    is true or it is closed. A file that is overwritten, or touched, comes again. What came is remembered in memory, for
    this iterator alone: for exactly once across restarts there is `clipspect watch`. Nothing that lies in `skip` comes.
    A folder that has gone is waited for, and `problem` is told, without one the log `clipspect`. Raises ImageError when
    it is not there at the start.
    """
    if not os.path.isdir(root):
        raise ImageError(f"{os.fspath(root)}: no such folder: create it, or mount it first")
    return GrowingFolder(Path(root), settle, None if skip is None else Path(skip), stop, problem)
