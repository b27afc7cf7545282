"""A thread beside those of the sources: it looks at something, or writes it, every so often until the line ends."""

from __future__ import annotations

import abc
import threading
from types import TracebackType
from typing import TypeVar

_Own = TypeVar("_Own", bound="Background")


class Background(abc.ABC):
    """A context manager: a thread is in `_work` from when it is entered until `_over` is set, when it is left."""

    def __init__(self, name: str, patience: float | None = None) -> None:
        """Leaving waits `patience` seconds at most for the thread, which can hang; None: until it has ended."""
        self.name = name
        self.failure: BaseException | None = None  # what ended the thread, for the watchdog to see
        self._patience = patience
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._guarded, name=f"clipspect-{name}", daemon=True)

    @abc.abstractmethod
    def _work(self) -> None:
        """Until `_over` is set."""

    def finish(self, seconds: float | None) -> bool:
        """Let it do what is left, and wait so long for that. Whether it is done."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _guarded(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self.failure = error

    def __enter__(self: _Own) -> _Own:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(self._patience)
