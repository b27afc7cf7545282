"""The watched folder: which files are there, which of them are complete, and which are under way.

It is looked at again and again, since notifications of the kernel say nothing of what another machine
writes to a network share.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from clipspect.base import clock
from clipspect.base.errors import ImageError
from clipspect.frame.image_files import IMAGE_SUFFIXES
from clipspect.frame.item import Item
from clipspect.sources.part import Part

_STEP_S = 0.05  # between two looks for something to do
_SCAN_S = 0.2  # between two scans of a small folder
_SCAN_SHARE = 0.1  # of the time, at most, that scans of a large folder take
_UNREAD_S = 1.0  # between two attempts at a file that the system does not give
_MOST_HELD = 10_000  # files that wait in memory; those beyond stay in the folder until there is room


@dataclass(frozen=True)
class Candidate:
    """A file that is not inspected yet, and has not changed since."""

    part: Part
    since: float  # monotonic seconds
    due: float  # when it is tried next
    last_try: bool = False  # what cannot be read now is reported as an error
    number: int = -1  # of the item that it was handed out as
    unread: str = ""  # why the system did not give its bytes, when they were last asked for


class Folder:
    """New files of a folder and its subfolders, each when it has not changed for `settle` seconds.

    Only images by their suffix count; hidden files and folders, links, and what lies in `skip` do not. `known` says
    whether a part is inspected already. `problem` is told with each scan why the folder, or a file in it, cannot be
    read, None when all can. Any thread may call.
    """

    def __init__(
        self,
        root: Path,
        *,
        skip: Path | None,
        settle: float,
        give_up: float,
        known: Callable[[Part], bool],
        problem: Callable[[str | None], None],
    ) -> None:
        self.root = root
        self._skip = None if skip is None else os.path.realpath(skip)
        self._settle, self._give_up = settle, max(settle, give_up)
        self._known, self._problem = known, problem
        self._lock = threading.Lock()
        self._candidates: dict[str, Candidate] = {}
        self._ready: deque[Candidate] = deque()  # of the last scan, the oldest first
        self._under_way: dict[str, Candidate] = {}  # by the file's name
        self._handed_out: dict[int, Candidate] = {}  # the same, by the item's number
        self._next_number = 0
        self._beyond = 0  # files that the last scan had no room for
        self._next_scan = 0.0
        self._unreadable: str | None = None  # why the folder, or one below it, could not be listed
        self._closed = False
        self.looking_since: float | None = None  # monotonic seconds, of a scan; it can hang on a share

    @property
    def backlog(self) -> int:
        """Files that are not inspected yet, as far as known; it waits for no lock, since a scan can hang on a share."""
        return len(self._candidates) + self._beyond + len(self._under_way)

    def ready(self, stop: object) -> Iterator[Item]:
        """Files to inspect, as they become complete, the oldest first; waits until `stop` is true or `close` called."""
        while not (self._closed or stop):
            candidate = self._next()
            if candidate is None:
                time.sleep(_STEP_S)
            else:
                captured = clock.from_file_time(candidate.part.mtime_ns)
                yield Item(str(self.root), candidate.number, captured, self.root / candidate.part.name)

    def under_way(self, item: Item) -> Candidate:
        """The candidate that an item was made of."""
        with self._lock:
            return self._handed_out[item.number]

    def release(self, candidate: Candidate, *, again: bool = False, unread: str = "") -> None:
        """A file is done with, or to be tried once more when it has not changed for `give_up` seconds.

        One whose bytes the system did not give, `unread` says why, is tried until it gives them or the file is gone.
        """
        with self._lock:
            name = candidate.part.name
            del self._under_way[name], self._handed_out[candidate.number]
            if again:
                self._candidates[name] = Candidate(
                    candidate.part, candidate.since, candidate.since + self._give_up, last_try=True
                )
            elif unread:
                due = monotonic() + max(self._settle, _UNREAD_S)
                self._candidates[name] = dataclasses.replace(candidate, due=due, unread=unread, number=-1)

    def close(self) -> None:
        """End `ready`."""
        self._closed = True

    def _next(self) -> Candidate | None:
        with self._lock:
            if monotonic() >= self._next_scan:
                self.looking_since = monotonic()
                self._scan()
                self.looking_since = None
            while self._ready:
                candidate = self._ready.popleft()
                if self._candidates.get(candidate.part.name) is candidate:
                    del self._candidates[candidate.part.name]
                    taken = dataclasses.replace(candidate, number=self._next_number)
                    self._under_way[candidate.part.name] = self._handed_out[taken.number] = taken
                    self._next_number += 1
                    return taken
        return None

    def _scan(self) -> None:
        start = monotonic()
        held: dict[str, Candidate] = {}
        beyond = 0
        for part in self._parts():
            if part.name in self._under_way:
                continue
            candidate = self._candidates.get(part.name)
            if candidate is None or candidate.part != part:
                if self._known(part):
                    continue
                if len(held) >= _MOST_HELD:
                    beyond += 1
                    continue
                now = monotonic()
                candidate = Candidate(part, now, now + self._settle, last_try=self._give_up <= self._settle)
            held[part.name] = candidate
        done = monotonic()
        self._candidates = held
        due = (candidate for candidate in held.values() if candidate.due <= start)
        self._ready = deque(sorted(due, key=lambda candidate: (candidate.part.mtime_ns, candidate.part.name)))
        self._beyond = beyond
        self._problem(self._unreadable or self._unread())
        self._next_scan = done + max(_SCAN_S, (done - start) * (1 / _SCAN_SHARE - 1))

    def _unread(self) -> str | None:
        """What to tell of files that the system does not give, as long as there are any."""
        waiting = (*self._candidates.values(), *self._under_way.values())
        told = sorted(candidate.unread for candidate in waiting if candidate.unread)
        if not told:
            return None
        return f"{told[0]}{f'; and {len(told) - 1} more' if len(told) > 1 else ''}: waiting for it"

    def _parts(self) -> Iterator[Part]:
        """Every image file that is there now."""
        problem: str | None = None
        folders = [""]
        while folders:
            where = folders.pop()
            try:
                with os.scandir(self.root / where) as entries:
                    for entry in entries:
                        if entry.name.startswith("."):
                            continue
                        name = f"{where}/{entry.name}" if where else entry.name
                        if entry.is_dir(follow_symlinks=False):
                            if os.path.realpath(entry.path) != self._skip:
                                folders.append(name)
                        elif _suffix(entry.name) in IMAGE_SUFFIXES and entry.is_file(follow_symlinks=False):
                            part = _part(name, entry)
                            if part is not None:
                                yield part
            except OSError as error:
                if where and isinstance(error, (FileNotFoundError, NotADirectoryError)):
                    continue  # a subfolder that has gone since it was listed
                problem = f"{self.root / where}: cannot be read ({error.strerror or error}): waiting for it"
        self._unreadable = problem


def folder(
    root: str | os.PathLike[str],
    *,
    settle: float = 1.0,
    skip: str | os.PathLike[str] | None = None,
    stop: object = False,
) -> Iterator[Item]:
    """Every image that is in a folder or comes into it, subfolders included, once it did not change for so long.

    It waits for the next until `stop` is true. A file that is overwritten, or touched, comes again. What came is
    remembered in memory, for this iterator alone: for exactly once across restarts there is `clipspect watch`. Nothing
    that lies in `skip` comes. A folder that has gone is waited for, with a warning in the log `clipspect`. Raises
    ImageError when it is not there at the start.
    """
    if not os.path.isdir(root):
        raise ImageError(f"{os.fspath(root)}: no such folder: create it, or mount it first")
    return _each_once(Path(root), settle, None if skip is None else Path(skip), stop)


def _each_once(root: Path, settle: float, skip: Path | None, stop: object) -> Iterator[Item]:
    came: set[str] = set()
    told: list[str | None] = [None]

    def problem(text: str | None) -> None:
        if text is not None and text != told[0]:
            logging.getLogger("clipspect").warning(text)
        told[0] = text

    watched = Folder(
        root, skip=skip, settle=settle, give_up=settle, known=lambda part: part.id in came, problem=problem
    )
    for item in watched.ready(stop):
        candidate = watched.under_way(item)
        came.add(candidate.part.id)
        watched.release(candidate)
        yield item


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _part(name: str, entry: os.DirEntry[str]) -> Part | None:
    try:
        return Part.of(name, entry.stat(follow_symlinks=False))
    except FileNotFoundError:  # renamed or removed since it was listed
        return None
