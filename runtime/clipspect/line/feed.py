"""What a line needs of a source besides its items: which file an outcome is of, whether it is to be told, and when.

A watched folder's files are inspected exactly once, across restarts; any other source's frames as they come.
"""

from __future__ import annotations

import abc
import dataclasses
import errno
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from types import TracebackType

from clipspect.base.errors import ClipspectError, ImageError, ImageReadError
from clipspect.base.plug_ins import described
from clipspect.frame.item import Item
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import FileRecord
from clipspect.line.health import Health
from clipspect.line.index import Index
from clipspect.line.plan import OWN, SourcePlan
from clipspect.sinks.log import Log
from clipspect.sources.candidate import Candidate
from clipspect.sources.files import VIDEO, kind_of
from clipspect.sources.folder import Folder
from clipspect.sources.handover import Handover
from clipspect.sources.part import Part
from clipspect.sources.parts import parts
from clipspect.sources.policy import BLOCK
from clipspect.sources.problem import Problem
from clipspect.sources.registry import Sources, open_sources

_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0  # between two attempts to open a source that failed
_LOOK_FOR_STOP_S = 0.1


@dataclass(frozen=True)
class Told:
    """What a record needs of its item, besides the item."""

    item: Item
    since: float  # monotonic seconds
    id: str | None = None  # None: the record has one of its own
    file: FileRecord | None = None


class Feed(abc.ABC):
    """A context manager. One thread takes the items, another gives back their outcomes, in their order.

    The source is asked by a thread of its own: it can be silent for ever, or its share hang, and the line still ends.
    """

    failed: str | None = None  # what ended a source that is not opened again

    def __init__(self) -> None:
        self._handover = Handover(BLOCK)

    @property
    def backlog(self) -> int:
        """Files that are not inspected yet; 0 where that is not known."""
        return 0

    @property
    def left_alone(self) -> int:
        """Files of a folder that are no images by their suffix."""
        return 0

    @property
    def looking_since(self) -> float | None:
        """Monotonic seconds since when the source is asked for something that it has to answer soon."""
        return None

    def items(self) -> Iterator[Item]:
        """Until the source ends or the feed is closed. Raises what the source raises, if it is not opened again."""
        threading.Thread(target=self._read, name="clipspect-feed", daemon=True).start()
        yield from self._handover

    @abc.abstractmethod
    def _capture(self) -> None:
        """Hand over the source's items, until it ends or the feed is closed."""

    def _read(self) -> None:
        try:
            self._capture()
        except BaseException as error:
            self._handover.end(error)
        else:
            self._handover.end()

    @abc.abstractmethod
    def told(self, outcome: Outcome) -> Told | None:
        """For the outcome's record; None where it is not to be told, now or at all."""

    @abc.abstractmethod
    def enter(self, told: Told) -> None:
        """The record is in the log. Raises OSError: it can be called again."""

    @abc.abstractmethod
    def release(self, told: Told) -> None:
        """All that has to be done with it is done."""

    def close(self) -> None:
        """Let go of who waits for an item. Any thread may call, again and again."""
        self._handover.close()

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class FolderFeed(Feed):
    """New files of a folder: the line in the log is the moment after which a file is done."""

    def __init__(self, source: SourcePlan, folder: Path, place: Path, skip: Path, log: Log, health: Health) -> None:
        super().__init__()
        self._root, self._place, self._health = folder, place, health
        self._name = source.name or str(folder)
        self._index = Index(place / OWN / "index.sqlite", log)
        health.problem("unknown", self._index.unknown)
        self._folder = Folder(
            folder,
            skip=skip,
            settle=source.settle,
            give_up=source.give_up,
            known=self._index.__contains__,
            problem=lambda text: health.problem("folder", text),
        )
        self._candidates: dict[str, Candidate] = {}  # by id, whose record is being written

    @property
    def backlog(self) -> int:
        return self._folder.backlog

    @property
    def left_alone(self) -> int:
        return self._folder.left_alone

    @property
    def looking_since(self) -> float | None:
        return self._folder.looking_since

    def _capture(self) -> None:
        for item in self._folder.ready(False):
            if not self._handover.put(dataclasses.replace(item, source=self._name)):
                return

    def told(self, outcome: Outcome) -> Told | None:
        candidate = self._folder.under_way(outcome.item)
        part = candidate.part
        now = Part.at(self._root, part.name)
        if now is None or not now.is_untouched(part):  # it has gone, or what was read may be a mixture
            self._folder.release(candidate)
            return None
        if isinstance(outcome.error, ImageReadError):  # nothing is known of the image: it is told, and waited for
            self._folder.release(candidate, unread=str(outcome.error))
            return None
        if isinstance(outcome.error, ImageError) and not candidate.last_try:
            self._folder.release(candidate, again=True)
            return None
        self._candidates[part.id] = candidate
        file = FileRecord(part.name, part.size, part.mtime_ns, part.ctime_ns)
        return Told(outcome.item, candidate.since, part.id, file)

    def enter(self, told: Told) -> None:
        try:
            self._index.add(self._candidates[str(told.id)].part)
        except sqlite3.OperationalError as error:  # a full disk; whatever else it is, the log has the line
            raise OSError(errno.ENOSPC, str(error), self._place / OWN) from error

    def release(self, told: Told) -> None:
        self._folder.release(self._candidates.pop(str(told.id)))

    def close(self) -> None:
        self._folder.close()
        super().close()

    def __enter__(self) -> FolderFeed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._index.close()


class StreamFeed(Feed):
    """A camera, a video, images that are there, another package's source: its frames as it gives them.

    A source that fails is opened again after a pause, and the numbers of its frames and parts go on; but for files and
    videos, which would begin again with their first frame.
    """

    def __init__(self, source: SourcePlan, skip: Path, health: Health) -> None:
        """No image is taken from the folder `skip`."""
        super().__init__()
        self._source, self._skip, self._health = source, skip, health
        self._name = source.title
        self._opened: Sources | None = None
        self._next_number = self._next_part = 0
        self._came: dict[int, float] = {}  # monotonic seconds, by the item's number, which other packages may repeat

    def items(self) -> Iterator[Item]:
        for item in super().items():
            self._came[item.number] = item.captured_monotonic or monotonic()
            yield item

    def told(self, outcome: Outcome) -> Told | None:
        return Told(outcome.item, self._came.pop(outcome.item.number, monotonic()))

    def enter(self, told: Told) -> None:
        """Nothing is remembered of a frame but its record."""

    def release(self, told: Told) -> None:
        """Nothing is held of a frame."""

    def close(self) -> None:
        super().close()
        if self._opened is not None:
            self._opened.close()

    def _capture(self) -> None:
        pause = _PAUSE_S
        while not self._handover.closed:
            before = self._next_number
            text, ends = self._captured()
            if text is None:
                if not self._handover.closed:
                    self._health.say(f"{self._source.shown} has ended after {self._next_number} frames: no more come")
                return
            if ends:
                self.failed = text
                self._health.problem("source", text)
                return
            pause = _PAUSE_S if self._next_number > before else min(2 * pause, _LONGEST_PAUSE_S)
            self._health.problem("source", f"{text}: it is opened again in {pause:g} s")
            until = monotonic() + pause
            while monotonic() < until and not self._handover.closed:
                time.sleep(_LOOK_FOR_STOP_S)

    def _captured(self) -> tuple[str | None, bool]:
        """Hand over what the source gives until it ends: why it failed, None where it did not; and whether that is for
        good.
        """
        first_part, ends = self._next_part, kind_of(self._source.source) == VIDEO
        problem = partial(self._health.problem, "source")
        try:
            self._opened = opened = open_sources([self._source.source], self._skip, self._source.policy, problem)
            ends = ends or opened.total is not None
            gate, frames = self._source.passing, self._numbered(opened, problem)
            for item in frames if gate is None else parts(frames, gate):
                span = item.span
                if span is not None:
                    span = dataclasses.replace(span, part=first_part + span.part)
                    self._next_part = span.part + 1
                if not self._handover.put(dataclasses.replace(item, source=self._name, span=span)):
                    opened.close()
                    break
        except ClipspectError as error:
            return str(error), ends
        except Exception as error:
            return described(error), ends
        return None, True

    def _numbered(self, opened: Sources, problem: Problem) -> Iterator[Item]:
        """The frames of a source that was opened, perhaps again, with numbers that go on."""
        first = self._next_number
        for item in opened:
            if self._next_number == first:
                problem(None)  # what kept it from being opened before; from here on it tells by itself
            self._next_number = max(self._next_number, first + item.number + 1)
            yield dataclasses.replace(item, number=first + item.number)
