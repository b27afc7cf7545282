"""How the watcher is: counts, the backlog, what is wrong now."""

from __future__ import annotations

import statistics
import sys
import threading
from collections import Counter, deque
from time import monotonic
from typing import Any

from clipspect.base import clock

_LATENCIES = 100  # images, the last ones, that the median is of


def say(text: str) -> None:
    """A line for the person or the journal."""
    print(f"clipspect: {text}", file=sys.stderr, flush=True)


class Health:
    """Counts since the start of the process. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._start = monotonic()
        self._verdicts: Counter[str] = Counter()
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._problems: dict[str, str] = {}

    def inspected(self, verdict: str, latency_ms: float) -> None:
        """One more line in the log."""
        with self._lock:
            self._verdicts[verdict] += 1
            self._latencies.append(latency_ms)

    def problem(self, what: str, text: str | None) -> None:
        """What keeps `what` from working, told once; None when it works again."""
        with self._lock:
            before = self._problems.get(what)
            if text is None:
                self._problems.pop(what, None)
            else:
                self._problems[what] = text
        if text is not None and text != before:
            say(text)
        elif text is None and before is not None:
            say(f"{what}: works again")

    def failed(self, text: str) -> None:
        """What ends the watcher: it stays among the problems, and is told by whoever reports the error."""
        with self._lock:
            self._problems["end"] = text

    def document(self, status: str, backlog: int, mqtt: dict[str, Any] | None) -> dict[str, Any]:
        """As JSON. `latency_p50_ms` is from a file's last change, as it was seen, to its line in the log."""
        with self._lock:
            return {
                "status": status,
                "time": clock.now(),
                "uptime_s": round(monotonic() - self._start, 1),
                "inspected": sum(self._verdicts.values()),
                "verdicts": dict(self._verdicts),
                "backlog": backlog,
                "latency_p50_ms": round(statistics.median(self._latencies), 1) if self._latencies else None,
                "problems": list(self._problems.values()),
                "mqtt": mqtt,
            }
