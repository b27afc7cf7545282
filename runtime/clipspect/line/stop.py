"""A wish to stop, from a signal or a thread: the image at hand is finished first."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

INTERRUPTED = 130  # the status of a process that ctrl-C ended
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Takes SIGTERM and ctrl-C while it is entered; a second ctrl-C ends the process at once.

    It is a plain flag, since a signal can come while a thread holds the lock of an event.
    """

    def __init__(self, then: Callable[[], None] | None = None) -> None:
        """`then` is called by the first signal, in the main thread, whatever that is doing."""
        self._then = then
        self.signal: int | None = None
        self._ended = False
        self._before: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self._ended or self.signal is not None

    def end(self) -> None:
        """As a signal does. Any thread may call."""
        self._ended = True

    def __enter__(self) -> Stop:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as for a program in the background of a shell
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:  # whatever hangs, and whoever holds a lock
            os.write(2, b"clipspect: interrupted\n")
            os._exit(INTERRUPTED)
        first, self.signal = self.signal is None, number
        if first and self._then is not None:
            self._then()
