"""A camera or stream that is captured by a thread of its own, and connected to again when it was lost.

Between two attempts it waits for 0.5 s, then twice as long each time up to 30 s, each wait longer or shorter by up to a
fifth, so that many boxes do not ask a restarted camera at once. The first frame makes it begin at 0.5 s again.
"""

from __future__ import annotations

import random
import statistics
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from time import monotonic
from typing import TypeAlias

from clipspect.base.errors import ClipspectError, ImageError
from clipspect.base.plug_ins import described
from clipspect.frame.decode import FrameLike
from clipspect.frame.item import Item
from clipspect.sources.handover import Handover
from clipspect.sources.policy import LATEST, Policy, policy_of
from clipspect.sources.problem import Problem, to_log

FIRST_WAIT_S, LONGEST_WAIT_S, JITTER = 0.5, 30.0, 0.2
DAMAGED_S, _FEWEST_DAMAGED = 60.0, 10  # without one whole frame, until a camera counts as lost
_LET_GO_S = 2.0  # that is waited for a camera to be let go of
_INTERVALS = 50  # between the last frames, the median of which says how many an outage took


class CameraAwayError(ImageError):
    """A camera cannot be reached, or was lost: it is connected to again."""


class CameraRefusedError(CameraAwayError):
    """A camera knows no such stream, or wants a password: an error of the address, if it never gave a frame."""


@dataclass(frozen=True, eq=False)
class Shot:
    """One frame as a connection gives it."""

    picture: Callable[[], FrameLike]
    captured: float  # `time.monotonic()`
    time: float | None = None  # seconds on the camera's own clock, where it has one
    lost: int = 0  # frames before it that came damaged, or of which the camera says that there were some
    resumed: bool = False  # after an outage that took no frames


class DamagedFrames:
    """Frames of a connection that came damaged since its last whole one: a camera that gives no other is told of."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count, self._since = 0, 0.0

    def add(self) -> None:
        """One more. Raises CameraAwayError after DAMAGED_S of nothing else."""
        if self._count == 0:
            self._since = monotonic()
        self._count += 1
        if self._count >= _FEWEST_DAMAGED and monotonic() - self._since > DAMAGED_S:
            raise CameraAwayError(
                f"{self._name}: each of {self._count} frames came damaged: check the network and its packet size"
            )

    def taken(self) -> int:
        """How many there were before a whole one, which has come."""
        count, self._count = self._count, 0
        return count


Connect: TypeAlias = Callable[[], Generator[Shot, None, None]]  # connects at the first `next`, and again each time


class Live:
    """Items of a camera until it is closed, or its stream comes to its end; to iterate over once.

    Any thread may close it. Raises what `connect` raises but for CameraAwayError, which `problem` is told of.
    """

    def __init__(
        self,
        name: str,
        connect: Connect,
        *,
        policy: str | Policy | None = None,
        problem: Problem | None = None,
        steady: bool = True,
    ) -> None:
        """`steady`: frames come at one rate, so that the time of an outage says how many it took."""
        self.name = name
        self._connect, self._steady = connect, steady
        self._problem = problem or to_log(name)
        self._handover = Handover(policy_of(policy, LATEST))
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._capture, name="clipspect-capture", daemon=True)
        self._number = 0  # of the next frame
        self._first: float | None = None
        self._last: Shot | None = None
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)

    def __iter__(self) -> Iterator[Item]:
        """Whoever leaves the loop closes it."""
        if self._thread.ident is None:
            self._thread.start()
        try:
            yield from self._handover
        finally:
            self.close()

    def close(self) -> None:
        """End it, and wait a moment for the camera to be let go of, so that it can be opened again."""
        self._closing.set()
        self._handover.close()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(_LET_GO_S)

    def _capture(self) -> None:
        """In the thread: until the source is closed, or there is an error that waiting does not mend."""
        try:
            failures = 0
            while not self._handover.closed:
                before = self._number
                away = self._connected()
                if away is None:
                    self._handover.end()
                    return
                failures = 0 if self._number > before else failures
                wait = waiting_time(failures)
                failures += 1
                self._problem(f"{away}: connecting again until it answers")
                self._closing.wait(wait)
        except ClipspectError as error:
            self._handover.end(error)
        except BaseException as error:
            self._handover.end(ClipspectError(f"{self.name}: the source failed ({described(error)})"))

    def _connected(self) -> CameraAwayError | None:
        """One connection: why it ended; None where its stream came to its end, or the source is closed."""
        outage = self._last is not None
        try:
            with closing(self._connect()) as shots:
                for shot in shots:
                    self._problem(None)
                    if not self._put(shot, outage):
                        return None
                    outage = False
        except CameraRefusedError as error:
            if self._number == 0:
                raise
            return error
        except CameraAwayError as error:
            return error
        return None

    def _put(self, shot: Shot, outage: bool) -> bool:
        lost = shot.lost
        if self._last is not None and not outage:
            self._intervals.append(_between(self._last, shot))
        elif self._last is not None and self._steady and self._intervals and not shot.resumed:
            interval = max(statistics.median(self._intervals), 1e-3)
            lost = max(lost, round((shot.captured - self._last.captured) / interval) - 1)
        if self._first is None:
            self._first = shot.captured
        self._last = shot
        number = self._number + lost
        self._number = number + 1
        at = datetime.now(timezone.utc) - timedelta(seconds=monotonic() - shot.captured)
        seconds = shot.captured - self._first
        not_yet = ImageError(f"{self.name}: the frame was not made")  # it is, when the item is taken
        item = Item(self.name, number, at, not_yet, lost, seconds, shot.captured)
        return self._handover.put(item, shot.picture)


def _between(before: Shot, after: Shot) -> float:
    """Seconds, by the camera's own clock where it has one: it knows nothing of busy boxes and networks."""
    if before.time is None or after.time is None:
        return after.captured - before.captured
    return after.time - before.time


def waiting_time(failures: int) -> float:
    """Seconds before the next attempt, after so many that failed before."""
    wait: float = min(FIRST_WAIT_S * 2.0 ** min(failures, 16), LONGEST_WAIT_S)
    return wait * random.uniform(1 - JITTER, 1 + JITTER)
