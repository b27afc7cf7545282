"""One process of an archive: an inspector, chunks of images in, rows of records out. Ray starts it, and another for one
that ends.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from clipspect.base.errors import ClipspectError, ImageError, ImageReadError
from clipspect.frame.item import Item
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.load import load
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record, record_of
from clipspect.recipes.guard import guard_words
from clipspect_lab.archive.decided import Decided
from clipspect_lab.archive.rows import SCHEMA, table_of
from clipspect_lab.archive.source import Source
from clipspect_lab.archive.tries import TRIES

CHUNK_NUMBER, STOP = "chunk", "stop"  # columns: of what goes in, and of what comes out where the archive cannot go on
ANSWER = SCHEMA.append(pa.field(STOP, pa.string()))
_PAUSE_S = 1.0  # before an image is read once more
_LONGEST_S = 600.0  # for an engine to load, or for the next image: what takes longer hangs


@dataclass(frozen=True)
class Task:
    """What a worker is told."""

    bundle: str
    recipe: str | None
    backend: str | None
    options: dict[str, Any]  # the engine's, and `require_signature`
    map_limit: float | None
    batch: int
    folder: str  # that relative paths are relative to

    def load(self) -> Inspector:
        """Raises ClipspectError."""
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise ClipspectError(
                f"{self.folder}: a worker cannot see the folder of this command ({error.strerror}): start it in one "
                "that every machine of the cluster has"
            ) from error
        return load(self.bundle, self.recipe, self.backend, map_limit=self.map_limit, **self.options)


@dataclass(frozen=True)
class Found:
    """What a worker is, by the first that was loaded."""

    decided: Decided
    reason: str  # why this engine
    guard: str  # what is said of limits that another engine calibrated


def look(task: Task, source: Source) -> Found | ClipspectError:
    """Load as workers do, and say what it is, or why not."""
    try:
        with _hanging_ends():
            source.require_there()
            inspector = task.load()
        with inspector:
            return Found(Decided.by(inspector), inspector.reason, guard_words(inspector.recipe, inspector.limits))
    except ClipspectError as error:
        return error


class Worker:
    """What Ray Data calls: a table of images in, one of records out. It never raises what a person can mend: it says so
    in the column STOP, since Ray would try again.
    """

    def __init__(
        self, task: Task, source: Source, decided: Decided, tries: Callable[..., Any], most_loads: int
    ) -> None:
        """`tries` calls a method of `Tries` by its name."""
        self._source, self._batch, self._tries = source, task.batch, tries
        self._inspector: Inspector | None = None
        self._stop = ""
        begun = tries("begin_load")
        if begun >= most_loads:
            self._stop = f"the process of a worker ended {begun} times while its engine was loaded: see Ray's logs"
            return
        try:
            with _hanging_ends():
                self._inspector = task.load()
            if said := decided.difference(Decided.by(self._inspector)):
                self._stop = f"a worker would decide otherwise ({said}): every machine needs the same bundle and engine"
        except ClipspectError as error:
            self._stop = f"a worker cannot begin: {error}"
        tries("end_load")

    def __call__(self, images: pa.Table) -> pa.Table:
        try:
            if self._stop or self._inspector is None:
                return _stopped(self._stop)
            with _hanging_ends():
                records = self._records(self._inspector, images)
        except ClipspectError as error:
            return _stopped(str(error))
        return table_of(records).append_column(STOP, pa.nulls(len(records), pa.string()))

    def _records(self, inspector: Inspector, images: pa.Table) -> list[Record]:
        """Raises ClipspectError."""
        chunk = images[CHUNK_NUMBER][0].as_py()
        alone = self._tries("begin_chunk", chunk) > 0  # it ended a process, or something else did: which image was it?
        names = {
            number: os.fsdecode(path) for number, path in zip(images["number"].to_pylist(), images["path"].to_pylist())
        }

        records: dict[int, Record] = {}
        for attempt in range(TRIES):
            items, unread = self._source.items(images), []
            outcomes = self._one_by_one(inspector, items, names) if alone else inspector.stream(items, self._batch)
            for outcome in outcomes:  # none is kept: it has the image's bytes, and its map
                _expect_the_next()
                number = outcome.item.number
                records[number] = _record(outcome, inspector, names[number])
                if isinstance(outcome.error, ImageReadError):
                    unread.append(number)
            if not unread or attempt + 1 == TRIES:
                break
            images = images.filter(pa.compute.is_in(images["number"], pa.array(unread)))
            time.sleep(_PAUSE_S)
        if any(record.error is not None for record in records.values()):
            self._source.require_there()  # an image that is gone with all others is not to be written down as damaged
        return [records[number] for number in names]

    def _one_by_one(self, inspector: Inspector, items: Iterable[Item], names: dict[int, str]) -> Iterator[Outcome]:
        for item in items:
            ended = self._tries("begin_image", item.number) + 1  # with the chunk's first attempt
            if ended >= TRIES:
                error = ImageError(
                    f"{names[item.number]}: {ended} processes ended while they inspected it: look at it on a machine "
                    "apart (clipspect run), and give the workers more memory"
                )
                yield Outcome(item, error=error)  # and it stays counted: another image can end this chunk, too
            else:
                yield from inspector.stream([item])
                self._tries("end_image", item.number)


@contextmanager
def _hanging_ends() -> Iterator[None]:
    """End the process where the block, or `_expect_the_next` in it, takes too long: a thread that hangs in a decoder or
    in an engine cannot be ended otherwise. It counts as any process that ends.
    """
    _expect_the_next()
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _expect_the_next() -> None:
    faulthandler.dump_traceback_later(_LONGEST_S, exit=True, file=sys.__stderr__ or sys.stderr)


def _record(outcome: Outcome, inspector: Inspector, name: str) -> Record:
    """Of the name that it was listed by, also where there was nothing to read it from."""
    record = record_of(outcome, inspector)
    return dataclasses.replace(record, item=dataclasses.replace(record.item, name=name))


def _stopped(reason: str) -> pa.Table:
    columns = {field.name: [None] for field in ANSWER}
    return pa.table({**columns, STOP: [reason]}, ANSWER)
