"""How a source of a line is, or the line itself: counts, and what is wrong now."""

from __future__ import annotations

import statistics
import sys
import threading
from collections import Counter, deque
from time import monotonic
from typing import Any

_LATENCIES = 100  # images, the last ones, that the median is of


class Health:
    """Counts since the start of the process. Any thread may call."""

    def __init__(self, name: str = "") -> None:
        """`name` of the source, where there are several: what is said begins with it."""
        self._prefix = f"{name}: " if name else ""
        self._lock = threading.Lock()
        self._start = monotonic()
        self._verdicts: Counter[str] = Counter()
        self._dropped = self._unsorted = 0
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._problems: dict[str, str] = {}

    def say(self, text: str) -> None:
        """A line for the person or the journal."""
        self.print_line(f"clipspect: {self._prefix}{text}")

    def print_line(self, line: str) -> None:
        """To standard error; that its reader has gone is among the problems, and ends nothing."""
        try:
            print(line, file=sys.stderr, flush=True)
        except OSError as error:
            with self._lock:
                self._problems["stderr"] = f"standard error cannot be written ({error.strerror or error})"
        else:
            with self._lock:
                self._problems.pop("stderr", None)

    def inspected(self, verdict: str, latency_ms: float, dropped: int = 0) -> None:
        """One more line in the log; the source dropped so many frames before it."""
        with self._lock:
            self._verdicts[verdict] += 1
            self._dropped += dropped
            self._latencies.append(latency_ms)

    def unsorted(self, text: str) -> None:
        """Why an inspected image is not in its verdict's folder."""
        with self._lock:
            self._unsorted += 1
        self.say(text)

    def problem(self, what: str, text: str | None) -> None:
        """What keeps `what` from working, told once; None when it works again."""
        with self._lock:
            before = self._problems.get(what)
            if text is None:
                self._problems.pop(what, None)
            else:
                self._problems[what] = text
        if text is not None and text != before:
            self.say(text)
        elif text is None and before is not None:
            self.say(f"{what}: works again")

    def failed(self, text: str) -> None:
        """What ends it: it stays among the problems, and is told by whoever reports the error."""
        with self._lock:
            self._problems["end"] = text

    @property
    def problems(self) -> list[str]:
        """What is wrong now."""
        with self._lock:
            return list(self._problems.values())

    @property
    def uptime_s(self) -> float:
        return round(monotonic() - self._start, 1)

    def counts(self) -> dict[str, Any]:
        """For the health document. `latency_p50_ms` is from a file's last change, as it was seen, or from when the
        source gave a frame, to its line in the log.
        """
        with self._lock:
            return {
                "inspected": sum(self._verdicts.values()),
                "verdicts": dict(self._verdicts),
                "dropped": self._dropped,
                "unsorted": self._unsorted,
                "latency_p50_ms": round(statistics.median(self._latencies), 1) if self._latencies else None,
            }
