"""Many items in a row: while the engine scores some, others are read, decoded and resized.

Three parties work at once: a pool of threads prepares frames (Pillow releases Python's lock while it
decodes and resizes), one thread runs the engine, and whoever takes the outcomes finishes them. What is
under way is bounded, so a slow consumer holds everything up instead of filling the memory.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from clipspect.base.errors import ClipspectError, ImageError
from clipspect.frame.decode import FrameLike
from clipspect.frame.item import Item, items_of
from clipspect.frame.prepare import Frame
from clipspect.inspection.answer import Answer
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.result import Result

_END = object()


class Inspecting(Protocol):
    """The steps of an inspection: all that a stream needs of an inspector."""

    @property
    def workers(self) -> int: ...

    def prepare_alone(self, frame: FrameLike) -> Frame: ...

    def answer(self, frames: Sequence[Frame]) -> list[Answer]: ...

    def finish(self, frame: Frame, answer: Answer) -> Result: ...


@dataclass(frozen=True, eq=False)
class _Ready:
    """An item whose frame is prepared, or could not be."""

    item: Item
    frame: Frame | ImageError


@dataclass(frozen=True, eq=False)
class _Scored:
    item: Item
    frame: Frame
    answer: Answer


def outcomes_of(
    inspector: Inspecting, items: Iterable[Item | FrameLike], batch: int = 1, *, keep_pictures: bool = False
) -> Generator[Outcome, None, None]:
    """An outcome for each item, in their order; plain frames become items of the caller.

    `batch` frames go through one run of the engine. With `keep_pictures` outcomes keep their frames in full size. What
    the iterable raises is raised after the outcomes of the items before it; a BackendError ends the stream. Closing the
    iterator waits for the run of the engine and the frame that are under way, and leaves no thread.
    """
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ClipspectError(f"batch: expected a number from 1, found {batch!r}")
    return _outcomes(inspector, items_of(items), batch, keep_pictures)


def _outcomes(
    inspector: Inspecting, items: Iterator[Item], batch: int, keep_pictures: bool
) -> Generator[Outcome, None, None]:
    groups: deque[Future[list[_Scored | Outcome]]] = deque()  # under way, the oldest first
    most = 2 + -(-inspector.workers // batch)  # one in the engine, one ready, and one frame for every worker
    forming: list[Future[_Ready]] = []
    pull: Future[Any] | None = None  # the next item, or _END, on its way
    failure: BaseException | None = None
    ended = False
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(inspector.workers + 1, "clipspect-frames")  # one can wait for a camera
        stack.callback(pool.shutdown)
        engine = ThreadPoolExecutor(1, "clipspect-engine")
        stack.callback(engine.shutdown, cancel_futures=True)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)  # the first to be called
        while groups or not ended:
            if pull is None and not ended and len(groups) < most:
                pull = pool.submit(next, items, _END)
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
            if forming and (ended or len(forming) == batch):
                groups.append(engine.submit(_scored, inspector, forming))
                forming = []
    if failure is not None:
        raise failure


def _prepared(inspector: Inspecting, item: Item, keep_picture: bool) -> _Ready:
    try:
        frame = inspector.prepare_alone(item.frame)
    except ImageError as error:
        return _Ready(item, error)
    return _Ready(item, frame if keep_picture else dataclasses.replace(frame, picture=None))


def _scored(inspector: Inspecting, group: list[Future[_Ready]]) -> list[_Scored | Outcome]:
    """In the engine's thread: wait for the group's frames, run those that could be read."""
    prepared = [future.result() for future in group]
    answers = iter(inspector.answer([ready.frame for ready in prepared if isinstance(ready.frame, Frame)]))
    return [
        Outcome(ready.item, error=ready.frame)
        if isinstance(ready.frame, ImageError)
        else _Scored(ready.item, ready.frame, next(answers))
        for ready in prepared
    ]


def _finished(inspector: Inspecting, group: list[_Scored | Outcome], keep_pictures: bool) -> Iterator[Outcome]:
    for scored in group:
        if isinstance(scored, Outcome):
            yield scored
        else:
            result = inspector.finish(scored.frame, scored.answer)
            yield Outcome(scored.item, result, frame=scored.frame if keep_pictures else None)
