"""The watched folder: which files are there, which of them are complete, and which are under way.

The kernel tells when a file is closed by who wrote it, or renamed into place: it is complete then, and comes at once.
That is safe: the writer says so itself, what was written is what is read from then on, and one who opens the file once
more closes it once more, which makes it another part. But the kernel says nothing of what another machine writes to a
network share, of what was there before, and of more than it could note down: so the folder is looked at again and
again, too, and what only that finds has to stay unchanged for a while.
"""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

from clipspect.base import clock
from clipspect.frame.item import Item
from clipspect.sources.candidate import Candidate, oldest_first, unread_words
from clipspect.sources.folder_listing import UNDER_WAY_S, LeftAlone, Listing, is_image
from clipspect.sources.inotify import RESCAN, Event, Notifier, is_share, notifier_of
from clipspect.sources.inspected_files import InspectedFiles
from clipspect.sources.part import Part
from clipspect.sources.problem import Problem

_STEP_S = 0.05  # between two looks for something to do
_SCAN_S = 0.2  # between two scans of a small folder
_SLOW_SCAN_S = 5.0  # the same where the kernel tells of changes
_SCAN_SHARE = 0.1  # of the time, at most, that scans of a large folder take
_UNREAD_S = 1.0  # between two attempts at a file that the system does not give
_MOST_HELD = 10_000  # files that wait in memory; those beyond stay in the folder until there is room
_NO_MORE = (errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSYS)  # notifications cannot be had


class Folder:
    """New files of a folder and its subfolders, each when it is complete.

    That is when the kernel says so, or when it has not changed for `settle` seconds. Only images by their suffix count;
    hidden files and folders, links, and what lies in `skip` do not; files of other suffixes are told of in the log.
    `known` says whether a part is inspected. `problem` is told with each scan why the folder, or a file in it, cannot
    be read, None when all can. Any thread may call.
    """

    def __init__(
        self,
        root: Path,
        *,
        skip: Path | None,
        settle: float,
        give_up: float,
        known: Callable[[Part], bool],
        problem: Problem,
    ) -> None:
        self.root = root
        self._skip = None if skip is None else os.path.realpath(skip)
        self._settle, self._give_up = settle, max(settle, give_up)
        self._known, self._problem = known, problem
        self._lock = threading.Lock()
        self._inspected = InspectedFiles()
        self._candidates: dict[str, Candidate] = {}
        self._ready: deque[Candidate] = deque()
        self._under_way: dict[str, Candidate] = {}  # by the file's name
        self._written: set[str] = set()  # while they were under way
        self._handed_out: dict[int, Candidate] = {}  # those under way, by the item's number
        self._next_number = 0
        self._beyond = 0  # files that the last scan had no room for
        self._scans = 0
        self._next_scan = 0.0
        self._next_due = 0.0  # of a candidate that is not ready
        self._place: tuple[int, int] | None = None  # device and inode of the root
        self._share = True  # others can change it without this machine being told
        self._notifier: Notifier | None = None
        self._left_alone = LeftAlone(root)
        self._closed = False
        self.looking_since: float | None = None  # monotonic seconds: a look at it can hang on a share

    @property
    def backlog(self) -> int:
        """Files that are not inspected yet, as far as known; it waits for no lock, since a scan can hang on a share."""
        return len(self._candidates) + self._beyond + len(self._under_way)

    def ready(self, stop: object) -> Iterator[Item]:
        """Files to inspect, as they become complete, the oldest first; waits until `stop` is true or `close` called."""
        try:
            while not (self._closed or stop):
                candidate = self._next()
                if candidate is not None:
                    captured = clock.from_file_time(candidate.part.mtime_ns)
                    seen = candidate.since if candidate.seen_to_come else None
                    name = self.root / candidate.part.name
                    yield Item(str(self.root), candidate.number, captured, name, captured_monotonic=seen)
                elif self._notifier is None:
                    time.sleep(_STEP_S)
                else:
                    self._notifier.wait(_STEP_S)
        finally:
            self._unwatch()

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
                due = candidate.since + self._give_up
                self._hold(dataclasses.replace(candidate, due=due, last_try=True, number=-1, ready=False))
            elif unread:
                due = monotonic() + max(self._settle, _UNREAD_S)
                self._hold(dataclasses.replace(candidate, due=due, unread=unread, number=-1, ready=False))
            elif self._known(candidate.part):
                self._inspected.remember(candidate.part)
            if name in self._written:
                self._written.discard(name)
                self._happened(Event(name, complete=True))

    @property
    def left_alone(self) -> int:
        """Files of the last scan that are no images by their suffix."""
        return self._left_alone.count

    def close(self) -> None:
        """End `ready`."""
        self._closed = True

    def _next(self) -> Candidate | None:
        with self._lock:
            self.looking_since = monotonic()
            self._look()
            self.looking_since = None
            while self._ready:
                candidate = self._ready.popleft()
                name = candidate.part.name
                if self._candidates.get(name) is candidate:
                    del self._candidates[name]
                    taken = dataclasses.replace(candidate, number=self._next_number)
                    self._under_way[name] = self._handed_out[taken.number] = taken
                    self._next_number += 1
                    return taken
        return None

    def _look(self) -> None:
        events = [] if self._notifier is None else self._notifier.events()
        for event in events:
            if event is not RESCAN:
                self._happened(event)
        now = monotonic()
        if RESCAN in events or now >= self._next_scan:
            self._scan()
        elif now >= self._next_due:
            self._look_at_due(now)

    def _happened(self, event: Event) -> None:
        """The kernel says that a file is complete, or has appeared, or was touched."""
        if not is_image(event.name):
            if self._left_alone.is_new(event.name):  # it is counted when it stays so
                self._next_scan = min(self._next_scan, monotonic() + UNDER_WAY_S + _SCAN_S)
            return
        if event.name in self._under_way:
            if event.complete:
                self._written.add(event.name)
            return
        part = self._now(event.name)
        if part is None:
            self._candidates.pop(event.name, None)
            return
        held = self._candidates.get(event.name)
        if held is not None and held.part.is_untouched(part):
            candidate = held
        else:
            found = self._to_inspect(part, written=event.complete)
            if found is None or (held is None and len(self._candidates) >= _MOST_HELD):
                self._candidates.pop(event.name, None)
                self._beyond += found is not None
                return
            candidate = self._candidate(found)
        settling = candidate.due <= candidate.since + self._settle  # and not waiting to be tried once more
        if event.complete and part.size and settling and not candidate.ready:
            candidate = dataclasses.replace(candidate, ready=True)
            self._ready.append(candidate)
        self._hold(candidate)

    def _to_inspect(self, part: Part, *, written: bool = False) -> Part | None:
        """The part as it is to be inspected; None where it is inspected already."""
        if not self._known(part):
            return part
        if self._inspected.is_another(part, written=written):
            again = dataclasses.replace(part, again=True)
            if not self._known(again):
                return again
        self._inspected.remember(part)
        return None

    def _candidate(self, part: Part) -> Candidate:
        now = monotonic()
        due = now + self._settle
        return Candidate(part, now, due, last_try=self._give_up <= self._settle, seen_to_come=self._scans > 0)

    def _hold(self, candidate: Candidate) -> None:
        self._candidates[candidate.part.name] = candidate
        if not candidate.ready:
            self._next_due = min(self._next_due, candidate.due)

    def _now(self, name: str) -> Part | None:
        """A file as it is; None when it has gone, or is none."""
        try:
            status = os.lstat(self.root / name)
        except OSError:
            return None
        return Part.of(name, status) if stat.S_ISREG(status.st_mode) else None

    def _look_at_due(self, now: float) -> None:
        """Make those ready that have not changed until they were due."""
        due = [candidate for candidate in self._candidates.values() if not candidate.ready and candidate.due <= now]
        self._next_due = now + _SLOW_SCAN_S
        ready = []
        for candidate in due:
            part = self._now(candidate.part.name)
            found = None if part is None else self._to_inspect(part)
            if found is None or part is None:
                del self._candidates[candidate.part.name]
            elif part.is_untouched(candidate.part):
                ready.append(self._made_ready(candidate))
            else:
                self._candidates[candidate.part.name] = self._candidate(found)
        self._ready.extend(oldest_first(ready))
        waiting = (candidate.due for candidate in self._candidates.values() if not candidate.ready)
        self._next_due = min(waiting, default=now + _SLOW_SCAN_S)

    def _made_ready(self, candidate: Candidate) -> Candidate:
        ready = dataclasses.replace(candidate, ready=True)
        self._candidates[candidate.part.name] = ready
        return ready

    def _scan(self) -> None:
        start = monotonic()
        self._look_at_place()
        held: dict[str, Candidate] = {}
        beyond = 0
        listing = Listing(self.root, self._skip, self._watch)
        for part in listing:
            self.looking_since = monotonic()  # a large folder takes its time, and does not hang
            if part.name in self._under_way:
                continue
            candidate = self._candidates.get(part.name)
            if candidate is None or not candidate.part.is_untouched(part):
                found = self._to_inspect(part)
                if found is None:
                    continue
                if len(held) >= _MOST_HELD:
                    beyond += 1
                    continue
                candidate = self._candidate(found)
            held[part.name] = candidate
        done = monotonic()
        self._candidates = held
        ready = [self._made_ready(each) for each in [*held.values()] if each.ready or each.due <= start]
        self._ready = deque(oldest_first(ready))
        self._next_due = min((each.due for each in self._candidates.values() if not each.ready), default=done + 60)
        self._beyond = beyond
        self._scans += 1
        problem = listing.unreadable or unread_words([*held.values(), *self._under_way.values()])
        self._problem(problem)
        self._left_alone.tell(listing.left_alone)
        pause = max(_SCAN_S, (done - start) * (1 / _SCAN_SHARE - 1))
        told = self._notifier is not None and problem is None and not beyond and not self._share
        self._next_scan = done + (max(pause, _SLOW_SCAN_S) if told else pause)

    def _look_at_place(self) -> None:
        """Whether the root is still the folder that it was; what the kernel tells is of the folder, not of its name."""
        try:
            status = os.stat(self.root)
        except OSError:
            return  # the listing says why
        place = status.st_dev, status.st_ino
        if self._place is not None and place[0] != self._place[0]:
            self._inspected.forget_all()
        if place != self._place:
            self._place, self._share = place, is_share(self.root)
            if self._notifier is not None:
                self._notifier.forget_all()
            elif self._scans == 0:
                self._notifier = notifier_of(self.root)

    def _watch(self, folder: str) -> None:
        """Have the kernel tell of a folder, before it is listed: nothing comes unseen in between."""
        if self._notifier is None:
            return
        try:
            self._notifier.add(folder)
        except OSError as error:
            if error.errno not in _NO_MORE:
                return  # the listing says why
            text = f"{self.root}: no more notifications ({error.strerror}; sysctl fs.inotify): it is scanned instead"
            logging.getLogger("clipspect").warning(text)
            self._unwatch()

    def _unwatch(self) -> None:
        if self._notifier is not None:
            self._notifier.close()
        self._notifier = None
