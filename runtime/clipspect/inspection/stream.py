"""Many frames in a row: while the engine scores some, others are read, decoded and resized.

Three parties work at once: a pool of threads prepares frames (Pillow releases Python's lock while it
decodes and resizes), one thread runs the engine, and whoever takes the results finishes them. What is
under way is bounded, so a slow consumer holds everything up instead of filling the memory.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, TypeAlias

from clipspect.base.errors import ClipspectError, ImageError
from clipspect.frame.decode import FrameLike
from clipspect.frame.prepare import Frame
from clipspect.frame.prepare import prepare as prepare_frame
from clipspect.inspection.result import Result

if TYPE_CHECKING:
    from clipspect.inspection.inspector import Answer, Inspector

Scored: TypeAlias = "tuple[Frame, Answer] | ImageError"
Outcome: TypeAlias = "tuple[Frame, Result] | ImageError"
_END = object()


def stream(
    inspector: Inspector, frames: Iterable[FrameLike], batch: int = 1, *, keep_pictures: bool = False
) -> Generator[Outcome, None, None]:
    """For each frame, in their order, the prepared frame and its result, or the error of one that cannot be read.

    `batch` frames go through one run of the engine. With `keep_pictures` the frames keep their full size. What the
    iterable raises is raised after the results of the frames before it; a BackendError ends the stream. Closing the
    iterator waits for the run of the engine and the frame that are under way, and leaves no thread.
    """
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ClipspectError(f"batch: expected a number from 1, found {batch!r}")
    return _stream(inspector, iter(frames), batch, keep_pictures)


def _stream(
    inspector: Inspector, frames: Iterator[FrameLike], batch: int, keep_pictures: bool
) -> Generator[Outcome, None, None]:
    groups: deque[Future[list[Scored]]] = deque()  # under way, the oldest first
    most = 2 + -(-inspector.hands // batch)  # one in the engine, one ready, and one frame in every hand
    forming: list[Future[Frame | ImageError]] = []
    pull: Future[Any] | None = None  # the next frame, or _END, on its way
    failure: BaseException | None = None
    ended = False
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(inspector.hands + 1, "clipspect-frames")  # one hand can wait for a camera
        stack.callback(pool.shutdown)
        engine = ThreadPoolExecutor(1, "clipspect-engine")
        stack.callback(engine.shutdown, cancel_futures=True)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)  # the first to be called
        while groups or not ended:
            if pull is None and not ended and len(groups) < most:
                pull = pool.submit(next, frames, _END)
            if pull is not None:
                oldest: list[Future[Any]] = [*list(groups)[:1], pull]
                wait(oldest, return_when=FIRST_COMPLETED)
            if pull is None or not pull.done():
                yield from _finished(inspector, groups.popleft().result())
                continue
            failure = pull.exception()
            if failure is not None or pull.result() is _END:
                ended = True
            else:
                forming.append(pool.submit(_prepare, inspector, pull.result(), keep_pictures))
            pull = None
            if forming and (ended or len(forming) == batch):
                groups.append(engine.submit(_score, inspector, forming))
                forming = []
    if failure is not None:
        raise failure


def results(outcomes: Generator[Outcome, None, None]) -> Generator[Result | ImageError, None, None]:
    """What `stream` yields without the frames."""
    with closing(outcomes):
        for outcome in outcomes:
            yield outcome if isinstance(outcome, ImageError) else outcome[1]


def _prepare(inspector: Inspector, frame: FrameLike, keep_picture: bool) -> Frame | ImageError:
    try:
        prepared = prepare_frame(frame, inspector.bundle.manifest.image)
    except ImageError as error:
        return error
    return prepared if keep_picture else dataclasses.replace(prepared, picture=None)


def _score(inspector: Inspector, group: list[Future[Frame | ImageError]]) -> list[Scored]:
    """In the engine's thread: wait for the group's frames, run those that could be read."""
    frames = [future.result() for future in group]
    answers = iter(inspector.answer([frame for frame in frames if isinstance(frame, Frame)]))
    return [(frame, next(answers)) if isinstance(frame, Frame) else frame for frame in frames]


def _finished(inspector: Inspector, group: list[Scored]) -> Iterator[Outcome]:
    for scored in group:
        if isinstance(scored, ImageError):
            yield scored
        else:
            yield scored[0], inspector.finish(*scored)
