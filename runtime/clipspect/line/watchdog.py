"""Notices an engine, or a source, that does not answer: health says it, and where nothing goes on the process ends.

A run of an engine cannot be interrupted, nor a read from a share that hangs: the one way on is another process.
systemd starts it; and ends this one when its watchdog hears nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from clipspect.inspection.inspector import Inspector
from clipspect.line.background import Background
from clipspect.line.notify import Notifier
from clipspect.line.source_run import SourceRun
from clipspect.line.stop import Stop

_LOOK_S = 0.5
_LATE_S = 5.0  # for a look, after which the time that went by says nothing of the others
_PARTING_S = 30.0  # besides one answer, that a process has to end in


class Watchdog(Background):
    """A context manager: a thread that looks at everything twice a second, or as often as systemd wants it."""

    def __init__(
        self,
        runs: Sequence[SourceRun],
        engine: Inspector,
        answer_within: float,
        stop: Stop,
        notifier: Notifier,
        end: Callable[[str], None],
    ) -> None:
        """`engine` is any of its inspectors; `end` is called with what does not answer, and ends the process."""
        super().__init__("watchdog")
        self._runs, self._engine, self._answer_within = runs, engine, answer_within
        self._stop, self._notifier, self._end = stop, notifier, end
        self._look_s = min(_LOOK_S, (notifier.watchdog_s or _LOOK_S) / 4)
        self._stopping_since: float | None = None

    def _work(self) -> None:
        looked = trusted = monotonic()
        while not self._over.wait(self._look_s):
            now = monotonic()
            if now - looked > self._look_s + _LATE_S:  # nobody was heard: the process was stopped, or had no processor
                trusted = now + self._answer_within
            looked = now
            hung = self._hung(now) if now >= trusted else None
            if hung is not None:
                self._end(hung)
                return
            self._notifier.tell("WATCHDOG=1")

    def _hung(self, now: float) -> str | None:
        """What keeps all from going on; health is told of what keeps one source from it."""
        since = self._engine.running_since
        if since is not None and now - since > self._answer_within:
            return f"the engine has not answered for {now - since:.0f} s: start the command again"
        if self._stop:
            self._stopping_since = self._stopping_since or now
            if now - self._stopping_since > self._answer_within + _PARTING_S:
                return f"the end was asked for {now - self._stopping_since:.0f} s ago, and something holds it up"
        live = [run for run in self._runs if run.state == "running"]
        stalled = [run.stalled(self._answer_within, len(self._runs)) for run in live]
        for run, text in zip(live, stalled):
            run.health.problem("answer", text)
            run.look_for_silence()
        told = [text for text in stalled if text is not None]
        nothing_goes_on = live and len(told) == len(live) and now - self._engine.finished_at > self._answer_within
        return f"{told[0]}; nothing else goes on: start the command again" if nothing_goes_on else None
