"""A line: sources, recipes and sinks over one engine, in one process, with one health document."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

from clipspect.base import clock
from clipspect.base.errors import ClipspectError, UnreachableError
from clipspect.base.files import is_disk_full
from clipspect.base.lock import only_writer_in
from clipspect.base.plug_ins import described
from clipspect.bundle.bundle import Bundle
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.load import load
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record
from clipspect.line.commands import obeyed
from clipspect.line.health import Health
from clipspect.line.heartbeat import Heartbeat
from clipspect.line.notify import Notifier
from clipspect.line.plan import HEALTH, OWN, Plan, nearest
from clipspect.line.recipes_in_use import Chosen, RecipesInUse, chosen_recipes
from clipspect.line.source_run import SourceRun, check_folder
from clipspect.line.stop import Stop
from clipspect.line.watchdog import Watchdog, end_process
from clipspect.recipes.recipe import Recipe
from clipspect.sinks.mqtt import Outbox, Queue
from clipspect.sinks.sink import Sink

_LOOK_FOR_END_S = 0.2
_LOOK_FOR_SERVER_S = 1.0  # between attempts to reach the server of an engine
_LOOK_FOR_ROOM_S = 1.0  # between attempts to begin on a full disk
_LAST_WORDS_S = 2.0  # for the health document that is under way in a process that hangs


class Line:
    """A context manager that holds the folders of results; entered, it `load`s its engine and `run`s.

    Entering it raises ClipspectError at once for what cannot be used: the bundle, a recipe, a folder, a log. Nothing is
    made before bundle, recipes and folders are known to be there. A full disk is waited for, until stop is asked for.
    """

    def __init__(self, plan: Plan, stop: Stop | None = None, shown: Sequence[Sink] = ()) -> None:
        """`shown` are the sinks that a person sees: what is in the logs."""
        self.plan, self.health = plan, Health()
        self._stop, self._shown = Stop() if stop is None else stop, shown
        self._showing = threading.Lock()
        self._notifier = Notifier()
        self._outbox: Outbox | None = None
        self._failures: list[BaseException] = []

    def __enter__(self) -> Line:
        plan = self.plan
        self._bundle = Bundle.open(plan.bundle, require_signature=plan.require_signature)
        self._chosen: dict[str, dict[str, Chosen]] = {
            source.name: chosen_recipes(self._bundle, source, plan.place(source)) for source in plan.sources
        }
        for source in plan.sources:
            if source.folder is not None:
                for place in map(plan.place, plan.sources):
                    check_folder(source.folder, place)
        while True:
            try:
                self._open = self._held()
            except ClipspectError as error:
                if self._stop or not is_disk_full(error):
                    raise
                self.health.problem("start", f"{error}, or make room: the start waits for it")
                time.sleep(_LOOK_FOR_ROOM_S)
            else:
                self.health.problem("start", None)
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watchdog.ends()
        try:
            self._open.__exit__(kind, error, trace)
        except BaseException as failure:
            self.health.failed(described(failure))
            self._heartbeat.write("offline")
            raise

    def load(self) -> dict[str, Inspector]:
        """Open the engine; by the sources' names, the inspectors of their frames. Raises BackendError, RecipeError."""
        first: Inspector | None = None
        for run in self._runs.values():
            chosen, inspectors = self._chosen[run.source.name], {}
            for folder, own in chosen.items():
                inspectors[folder] = self._opened(own.recipe, first)
                first = first or inspectors[folder]
                self._open.callback(inspectors[folder].close)
            # frames of a camera are decoded already, and get old where many are fetched ahead
            workers = 1 if first is None or run.source.folder is None else max(1, first.workers // len(self._runs))
            recipes = RecipesInUse(inspectors, chosen, run.source, run.place, run.health, workers)
            run.use(self._open.enter_context(recipes))
        return {name: run.recipes.first for name, run in self._runs.items()}

    def run(self) -> None:
        """Inspect what comes until all sources have ended or stop is asked for. A source that fails is told, and the
        others go on. Raises BackendError, and any other error that ends the line; ClipspectError at the end for a
        source that failed for good. The last health document says all of it. An engine that hangs ends the process.
        """
        runs = list(self._runs.values())
        with ExitStack() as stack:
            stack.enter_context(self._watchdog.watching(runs[0].recipes.first))
            for run in runs:
                stack.callback(run.drift.keep)
            if self._outbox is not None:
                stack.enter_context(self._outbox)
            stack.enter_context(self._heartbeat)
            threads = [threading.Thread(target=self._guarded, args=(run,), daemon=True) for run in runs]
            for thread in threads:
                thread.start()
            self._notifier.tell("READY=1")
            stack.callback(self._notifier.tell, "STOPPING=1")
            self._wait_for(threads)
            self._watchdog.ends()
        if self._failures:
            raise self._failures[0]
        for run in runs:
            if run.failed is not None:
                raise ClipspectError(f"{run.source.title}: {run.failed}")

    def stop(self) -> None:
        """End `run`: each source finishes the image at hand. Any thread may call."""
        self._stop.end()

    def use_recipe(self, source: str, recipe: str) -> dict[str, Any]:
        """Switch a source, "" where there is one alone, to another recipe of the bundle between two of its frames.

        No frame is dropped or judged twice: each has one recipe, which its record names. Frames that the engine has
        taken already keep the old one. It stays so through a restart, until the line's file names another recipe for
        the source. The name and the digest of the new one. Any thread may call. Raises ClipspectError: nothing changed.
        """
        if not source and len(self._runs) == 1:
            (source,) = self._runs
        if source not in self._runs:
            raise ClipspectError(f"{source!r:.80}: no source has that name; {nearest(source, list(self._runs))}")
        return self._runs[source].recipes.switch(recipe)

    def document(self, status: str) -> dict[str, Any]:
        """The health document; of one source without a name, all in one."""
        document: dict[str, Any] = {
            "status": status,
            "time": clock.now(),
            "uptime_s": self.health.uptime_s,
            "problems": self.health.problems,
            "mqtt": None if self._outbox is None else self._outbox.report(),
        }
        if list(self._runs) == [""]:
            own = self._runs[""].document()
            return {**document, **own, "problems": [*own["problems"], *document["problems"]]}
        sources = {name: {"state": run.state, **run.document()} for name, run in self._runs.items()}
        problems = [f"{name}: {text}" for name, own in sources.items() for text in own["problems"]]
        return {**document, "problems": [*document["problems"], *problems], "sources": sources}

    def _held(self) -> ExitStack:
        """The folders of results with their logs. Raises ClipspectError."""
        plan = self.plan
        broker = None if plan.mqtt is None else plan.mqtt.broker
        runs = [SourceRun(source, plan, self._stop, self._logged) for source in plan.sources]
        heartbeat = Heartbeat(Path(plan.out, HEALTH), plan.health, self.document, self.health)
        watchdog = Watchdog(runs, heartbeat, plan.answer_within, self._stop, self._notifier, self._end_at_once)
        with ExitStack() as stack:
            stack.enter_context(watchdog)  # the last to go: what hangs at the end is noticed, too
            if all(run.place != Path(plan.out) for run in runs):
                stack.enter_context(only_writer_in(Path(plan.out)))
            self._runs = {run.source.name: stack.enter_context(run) for run in runs}
            if broker is not None and plan.mqtt is not None:
                queues = [Queue(broker.result(run.source.name), run.log, run.place / OWN / "mqtt.json") for run in runs]
                for run, queue in zip(runs, queues):
                    run.health.problem("unsent", queue.lost)
                self._outbox = Outbox(
                    broker,
                    queues,
                    status=self.document,
                    every=plan.health,
                    problem=lambda text: self.health.problem("mqtt", text),
                    command=(lambda message: obeyed(message, self.use_recipe)) if plan.mqtt.commands else None,
                )
            self._heartbeat, self._watchdog = heartbeat, watchdog
            return stack.pop_all()

    def _opened(self, recipe: Recipe, first: Inspector | None) -> Inspector:
        """Over the engine of the first inspector; the first opens it."""
        if first is not None:
            return first.with_recipe(recipe)
        plan = self.plan
        return load(
            self._bundle, recipe, plan.backend, map_limit=plan.map_limit, retry=self._retry, **plan.engine_options
        )

    def _retry(self, error: UnreachableError | None) -> bool:
        """In the thread that runs the engine, whose server does not answer: the frame waits for it."""
        self.health.problem("engine", None if error is None else f"{error}: inspection waits for it")
        until = monotonic() + _LOOK_FOR_SERVER_S
        while error is not None and not self._stop and monotonic() < until:
            time.sleep(_LOOK_FOR_END_S)
        return not self._stop

    def _guarded(self, run: SourceRun) -> None:
        """In the source's thread."""
        try:
            run.run()
        except BaseException as error:  # another package can raise SystemExit, too
            if isinstance(error, UnreachableError) and self._stop:  # the frame that waited is as if never seen
                run.state = "ended"
                return
            run.state = "failed"
            said = str(error) if isinstance(error, ClipspectError) else described(error)
            run.health.failed(said)
            self._failures.append(error if isinstance(error, Exception) else ClipspectError(said))
            self._stop.end()

    def _logged(self, record: Record, outcome: Outcome) -> None:
        if self._outbox is not None:
            self._outbox.news()
        with self._showing:
            for sink in self._shown:
                sink.take(record, outcome)

    def _end_at_once(self, text: str) -> None:
        """In the watchdog's thread: threads that hang cannot be ended but with the process."""
        self.health.failed(text)
        self._notifier.tell("STOPPING=1", f"STATUS={text}")
        end_process(text, self._last_words)

    def _last_words(self) -> None:
        self._heartbeat.finish(_LAST_WORDS_S)
        self._heartbeat.write("offline")

    def _wait_for(self, threads: Sequence[threading.Thread]) -> None:
        try:
            self._joined(threads)
        except KeyboardInterrupt:  # in a program that takes no signals for the line
            self._stop.end()
            self._joined(threads)
            raise

    def _joined(self, threads: Sequence[threading.Thread]) -> None:
        while any(thread.is_alive() for thread in threads):
            if self._stop:
                for run in self._runs.values():
                    run.let_go()
            for thread in threads:
                thread.join(_LOOK_FOR_END_S / len(threads))
