"""Notices an engine, a source or a disk that does not answer: health says it, and where nothing goes on the process
ends.

A run of an engine cannot be interrupted, nor a read from a share that hangs: the one way on is another process.
systemd starts it; and ends this one when its watchdog hears nothing any more.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from clipspect.base.plug_ins import described
from clipspect.line.background import Background

if TYPE_CHECKING:  # clipspect run needs no more of a line than this
    from clipspect.inspection.inspector import Inspector
    from clipspect.line.health import Health
    from clipspect.line.heartbeat import Heartbeat
    from clipspect.line.notify import Notifier
    from clipspect.line.source_run import SourceRun
    from clipspect.line.stop import Stop

_LOOK_S = 0.5
_LATE_S = 5.0  # for a look, after which the time that went by says nothing of the others
_PARTING_S = 30.0  # besides one answer, that a process has to end in
_LAST_WORDS_S = 5.0  # for what there is to say before the process ends


def end_process(text: str, last_words: Callable[[], None] = lambda: None) -> None:
    """With status 1, from any thread: threads that hang cannot be ended otherwise. Nothing that hangs keeps it up."""

    def say() -> None:
        print(f"clipspect: error: {text}", file=sys.stderr, flush=True)

    for words in (last_words, say):
        thread = threading.Thread(target=words, daemon=True)
        thread.start()
        thread.join(_LAST_WORDS_S)
    os._exit(1)


class Watchdog(Background):
    """A context manager: a thread that looks at everything twice a second, or as often as systemd wants it."""

    def __init__(
        self,
        runs: Sequence[SourceRun],
        heartbeat: Heartbeat | None,
        answer_within: float,
        stop: Stop,
        notifier: Notifier,
        end: Callable[[str], None],
    ) -> None:
        """`end` is called with what does not answer, or has failed unseen, and ends the process."""
        super().__init__("watchdog")
        self._runs, self._heartbeat, self._answer_within = runs, heartbeat, answer_within
        self._stop, self._notifier, self._end = stop, notifier, end
        self._look_s = min(_LOOK_S, (notifier.watchdog_s or _LOOK_S) / 4)
        self._engine: Inspector | None = None
        self._ending_since: float | None = None
        self._told: dict[tuple[Health, str], str | None] = {}

    @contextmanager
    def watching(self, engine: Inspector) -> Iterator[None]:
        """Inside, engine and sources have to answer. `engine` is any of its inspectors."""
        self._engine = engine
        try:
            yield
        finally:
            self._engine = self._ending_since = None

    def ends(self) -> None:
        """From here on the end has to come in time: of what is inside `watching`, or of all."""
        self._ending_since = self._ending_since or monotonic()

    def _work(self) -> None:
        looked = trusted = monotonic()
        while not self._over.wait(self._look_s):
            now = monotonic()
            if now - looked > self._look_s + _LATE_S:  # nobody was heard: the process was stopped, or had no processor
                trusted = now + self._answer_within
            looked = now
            try:
                hung = self._hung(now) if now >= trusted else None
            except Exception as error:
                hung = f"the watchdog failed ({described(error)}): start the command again"
            if hung is not None:
                self._end(hung)
                return
            self._notifier.tell("WATCHDOG=1")

    def _hung(self, now: float) -> str | None:
        """What keeps all from going on; health is told of what keeps one source from it."""
        engine = self._engine
        since = None if engine is None else engine.running_since
        if since is not None and now - since > self._answer_within:
            return f"the engine has not answered for {now - since:.0f} s: start the command again"
        if engine is not None and self._stop:
            self.ends()
        since = self._ending_since
        if since is not None and now - since > self._answer_within + _PARTING_S:
            return f"the end was due {now - since:.0f} s ago, and something holds it up"
        return self._unwritten(now) or self._failed_unseen() or self._stalled(now, engine)

    def _unwritten(self, now: float) -> str | None:
        since = None if self._heartbeat is None else self._heartbeat.writing_since
        if self._heartbeat is None or since is None or now - since <= self._answer_within:
            return None
        return f"{self._heartbeat.path} has been under way for {now - since:.0f} s: check its disk, and standard error"

    def _failed_unseen(self) -> str | None:
        """The threads that nobody waits for: without them all goes on, and says nothing any more."""
        backgrounds = [followed for run in self._runs for followed in run.background]
        for background in [*backgrounds, *([] if self._heartbeat is None else [self._heartbeat])]:
            if background.failure is not None:
                return f"the thread {background.name} failed ({described(background.failure)}): start the command again"
        return None

    def _stalled(self, now: float, engine: Inspector | None) -> str | None:
        live = [run for run in self._runs if run.state == "running"]
        stalled = [run.stalled(self._answer_within, len(self._runs)) for run in live]
        for run, text in zip(live, stalled):
            self._tell(run.health, "answer", text)
            self._tell(run.health, "silence", run.silence())
        told = [text for text in stalled if text is not None]
        if engine is None or not live or len(told) < len(live) or now - engine.finished_at <= self._answer_within:
            return None
        return f"{told[0]}; nothing else goes on: start the command again"

    def _tell(self, health: Health, what: str, text: str | None) -> None:
        """By another thread: who reads standard error can hang, too."""
        if self._told.get((health, what)) != text:
            self._told[health, what] = text
            threading.Thread(target=health.problem, args=(what, text), daemon=True).start()
