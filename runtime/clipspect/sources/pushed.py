"""Frames that the caller pushes, from the callback of a camera's software for one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from time import monotonic
from types import TracebackType

import numpy as np

from clipspect.frame.decode import FrameLike
from clipspect.frame.item import CALLER, Item
from clipspect.sources.handover import Handover
from clipspect.sources.policy import BLOCK, Policy, policy_of


class Pushed:
    """A source to iterate over once, in `inspector.stream`, while other threads `put` frames. A context manager."""

    def __init__(self, source: str = CALLER, policy: str | Policy | None = None) -> None:
        self._source, self._handover = source, Handover(policy_of(policy, BLOCK))
        self._lock = threading.Lock()  # of the numbers: frames are handed over in their order
        self._next_number = 0

    def put(
        self, frame: FrameLike, captured_at: datetime | None = None, *, dropped: int = 0, copy: bool = True
    ) -> bool:
        """Hand over a frame, captured now or when it is said. False once the source is closed: nobody takes it.

        With the policy `block` it waits for room, else it comes back at once. `dropped` are frames that the caller
        knows to be lost since the one before. An array is copied, since cameras fill their buffers again.
        """
        if copy and isinstance(frame, np.ndarray):
            frame = frame.copy()
        now, moment = monotonic(), datetime.now(timezone.utc)
        age = 0.0 if captured_at is None else (moment - captured_at).total_seconds()
        with self._lock:
            number = self._next_number + dropped
            self._next_number = number + 1
            item = Item(
                self._source, number, captured_at or moment, frame, dropped=dropped, captured_monotonic=now - age
            )
            return self._handover.put(item)

    def close(self) -> None:
        """No more frames come: what waits is still inspected, then the stream ends."""
        self._handover.end()

    def __iter__(self) -> Iterator[Item]:
        return iter(self._handover)

    def __enter__(self) -> Pushed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def push(source: str = CALLER, *, policy: str | Policy | None = None) -> Pushed:
    """A source of frames that other threads `put`, by the policy `block` (the default), `latest` or `queue:N`.

    camera = clipspect.sources.push(policy="latest")
    driver.on_frame(camera.put)
    for outcome in inspector.stream(camera): ...
    """
    return Pushed(source, policy)
