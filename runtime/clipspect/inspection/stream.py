"""Many items in a row: while the engine scores some, others are read, decoded and resized.

Four parties work at once: one thread waits for the source, a pool of threads prepares frames (Pillow releases Python's
lock while it decodes and resizes), one thread runs the engine, and whoever takes the outcomes finishes them. What is
under way is bounded, so a slow consumer holds everything up instead of filling the memory.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Protocol

from clipspect.base.errors import AnswerError, BackendError, ClipspectError, ImageError
from clipspect.frame.decode import FrameLike
from clipspect.frame.item import Item, items_of
from clipspect.frame.prepare import Frame
from clipspect.inspection.answer import Answer
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.result import Result

_END = object()
_SOURCE_S = 1.0  # that a stream which ends waits for an item that it has asked for


class Inspecting(Protocol):
    """The steps of an inspection: all that a stream needs of an inspector."""

    @property
    def workers(self) -> int: ...

    @property
    def tiled(self) -> bool: ...  # whether frames keep their pictures until they are scored: few are fetched ahead

    def prepare_alone(self, frame: FrameLike) -> Frame: ...

    def answer(self, frames: Sequence[Frame]) -> list[Answer | AnswerError | ImageError]: ...

    def finish(self, answer: Answer) -> Result: ...


@dataclass(frozen=True, eq=False)
class _Ready:
    """An item whose frame is prepared, or could not be."""

    item: Item
    frame: Frame | ImageError


@dataclass(frozen=True, eq=False)
class _Scored:
    item: Item
    answer: Answer


class _Puller:
    """A thread that asks the source for its next item. A context manager.

    A source can wait for ever, for a part or for a lost camera: at the end it is waited for only for a moment. Then the
    thread is left behind; it ends with the item that it waits for, or with the process.
    """

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._wanted: SimpleQueue[Future[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="clipspect-source", daemon=True)

    def next(self) -> Future[Any]:
        """The next item, or _END, on its way."""
        future: Future[Any] = Future()
        self._wanted.put(future)
        return future

    def __enter__(self) -> _Puller:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wanted.put(None)
        self._thread.join(_SOURCE_S)

    def _run(self) -> None:
        while (future := self._wanted.get()) is not None:
            try:
                future.set_result(next(self._items, _END))
            except BaseException as error:
                future.set_exception(error)


def outcomes_of(
    inspector: Inspecting, items: Iterable[Item | FrameLike], batch: int = 1, *, keep_pictures: bool = False
) -> Generator[Outcome, None, None]:
    """An outcome for each item, in their order; plain frames become items of the caller.

    `batch` frames go through one run of the engine. With `keep_pictures` outcomes keep their frames in full size. What
    the iterable raises is raised after the outcomes of the items before it; a BackendError ends the stream, but for an
    AnswerError, which is one frame's. When the stream ends, however it does, the run of the engine and the frames that
    are under way are waited for, and no thread stays but that of a source which gives no item for over a second.
    """
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ClipspectError(f"batch: expected a number from 1, found {batch!r}")
    return _outcomes(inspector, items_of(items), batch, keep_pictures)


def _outcomes(
    inspector: Inspecting, items: Iterator[Item], batch: int, keep_pictures: bool
) -> Generator[Outcome, None, None]:
    groups: deque[Future[list[_Scored | Outcome]]] = deque()  # under way, the oldest first
    forming: list[Future[_Ready]] = []
    pull: Future[Any] | None = None  # the next item, or _END, on its way
    failure: BaseException | None = None
    ended, process = False, os.getpid()
    with ExitStack() as stack:
        puller = stack.enter_context(_Puller(items))
        pool = ThreadPoolExecutor(inspector.workers, "clipspect-frames")
        stack.callback(pool.shutdown)
        engine = ThreadPoolExecutor(1, "clipspect-engine")
        stack.callback(engine.shutdown, cancel_futures=True)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)  # the first to be called
        while groups or not ended:
            if os.getpid() != process:
                raise BackendError(
                    f"the stream was begun in process {process}, and this is process {os.getpid()}: its threads do not "
                    "survive a fork; go on with it there"
                )
            size = 1 if inspector.tiled else batch
            most = 2 if inspector.tiled else 2 + -(-inspector.workers // batch)  # in the engine, ready, one a worker
            if pull is None and not ended and len(groups) < most:
                pull = puller.next()
            if pull is not None:
                oldest: list[Future[Any]] = [*list(groups)[:1], pull]
                wait(oldest, return_when=FIRST_COMPLETED)
            if pull is None or not pull.done():
                yield from _finished(inspector, groups.popleft().result(), keep_pictures)
                continue
            failure = pull.exception()
            if failure is not None or pull.result() is _END:
                ended = True
            else:
                forming.append(pool.submit(_prepared, inspector, pull.result(), keep_pictures))
            pull = None
            if forming and (ended or len(forming) >= size):
                groups.append(engine.submit(_scored, inspector, forming, keep_pictures))
                forming = []
    if failure is not None:
        raise failure


def _prepared(inspector: Inspecting, item: Item, keep_picture: bool) -> _Ready:
    try:
        frame = inspector.prepare_alone(item.frame)
    except ImageError as error:
        return _Ready(item, error)
    return _Ready(item, frame if keep_picture or frame.is_tiled else dataclasses.replace(frame, picture=None))


def _scored(inspector: Inspecting, group: list[Future[_Ready]], keep_pictures: bool) -> list[_Scored | Outcome]:
    """In the engine's thread: wait for the group's frames, run those that could be read."""
    prepared = [future.result() for future in group]
    answers = iter(inspector.answer([ready.frame for ready in prepared if isinstance(ready.frame, Frame)]))
    scored: list[_Scored | Outcome] = []
    for ready in prepared:
        if isinstance(ready.frame, ImageError):
            scored.append(Outcome(ready.item, error=ready.frame))
            continue
        answer = next(answers)
        if not isinstance(answer, Answer):
            scored.append(Outcome(ready.item, error=answer))
            continue
        if not keep_pictures:
            answer = dataclasses.replace(answer, frame=dataclasses.replace(answer.frame, picture=None))
        scored.append(_Scored(ready.item, answer))
    return scored


def _finished(inspector: Inspecting, group: list[_Scored | Outcome], keep_pictures: bool) -> Iterator[Outcome]:
    for scored in group:
        if isinstance(scored, Outcome):
            yield scored
        else:
            result = inspector.finish(scored.answer)
            yield Outcome(scored.item, result, frame=scored.answer.frame if keep_pictures else None)
