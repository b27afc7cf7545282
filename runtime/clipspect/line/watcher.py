"""The loop of `clipspect watch`: complete files in, one line of the log each, the image into its verdict's folder.

The line in the log is the moment that counts. Before it, the file is as if never seen; after it, the
file is done, and what is left (the index, the sorting, MQTT) is caught up with after a restart.
"""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

from clipspect.base.errors import ClipspectError, ImageError, ImageReadError
from clipspect.base.lock import locked
from clipspect.base.plug_ins import described
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import FileRecord, Record, record_of
from clipspect.line.drift_kept import KeptDrift
from clipspect.line.followed_recipe import FollowedRecipe
from clipspect.line.health import Health, say
from clipspect.line.heartbeat import Heartbeat
from clipspect.line.index import Index
from clipspect.line.stop import Stop
from clipspect.sinks.broker import Broker
from clipspect.sinks.kept_link import RESULTS
from clipspect.sinks.log import Log
from clipspect.sinks.mqtt import Outbox
from clipspect.sinks.rotation import NEVER, Rotation
from clipspect.sinks.sink import Sink, with_files
from clipspect.sinks.sorting import VERDICT_FOLDERS, Sorter, verdict_folder
from clipspect.sources.folder import Candidate, Folder
from clipspect.sources.part import Part

HEALTH, OWN = "health.json", ".watch"
_RETRY_S = 1.0  # between attempts at what a full disk or a lost share keeps from working
_LOOK_FOR_STOP_S = 0.1  # between two looks whether to stop
_REMEDY = {
    "sink": "mend what it writes to",
    "log": "make room",
    "index": "make room",
    "sorting": "make room and check the rights, or start again with another --sort",
}


@dataclass(frozen=True)
class Plan:
    """What to watch, and what to do with it; seconds where it is a time."""

    folder: Path
    out: Path
    sort: str  # of sorting.MODES
    settle: float
    give_up: float
    health_every: float
    broker: Broker | None = None
    rotation: Rotation = NEVER
    sinks: tuple[Sink, ...] = ()  # that take each record before it is in the log, and so perhaps twice


class Watcher:
    """A context manager that holds the output folder; `run` it with an inspector.

    Raises ClipspectError at once for a folder that is not there, an output folder that cannot be written or that
    another watcher has, and a log that was damaged by other than an interruption.
    """

    def __init__(self, plan: Plan, stop: Stop, shown: Sequence[Sink] = ()) -> None:
        """`shown` are the sinks that a person sees: what is in the log."""
        self.health = Health()
        self._plan, self._stop, self._shown = plan, stop, shown

    def __enter__(self) -> Watcher:
        plan, own = self._plan, self._plan.out / OWN
        _check_places(plan)
        with ExitStack() as stack:
            stack.enter_context(locked(own / "lock", self._busy, "choose another --out"))
            self._log = stack.enter_context(closing(Log(plan.out / RESULTS, plan.rotation)))
            if self._log.repaired:
                say(f"{self._log.path}: the last line was cut short and is removed; its image is inspected again")
            self.health.problem("chain", self._log.broken)
            self._index = stack.enter_context(closing(Index(own / "index.sqlite", self._log)))
            self.health.problem("unknown", self._index.unknown)
            self._sorter = Sorter(plan.sort, plan.folder, plan.out)
            self._folder = Folder(
                plan.folder,
                skip=plan.out,
                settle=plan.settle,
                give_up=plan.give_up,
                known=self._index.__contains__,
                problem=lambda text: self.health.problem("folder", text),
            )
            self._outbox = self._made_outbox(own / "mqtt.json")
            self.health.problem("unsent", None if self._outbox is None else self._outbox.lost)
            for sink in plan.sinks:
                stack.enter_context(sink)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def _busy(self, holder: str) -> str:
        found = f"{self._plan.out}: another clipspect watch (process {holder}) writes there"
        return f"{found}: stop it, or choose another --out"

    def run(self, inspector: Inspector, recipe: Path) -> None:
        """Inspect what comes until stop is asked for, with the recipe in use, until its file is replaced. A disk that
        is full is waited for; any other error is raised, BackendError for one, and the last health document says it.
        """
        with ExitStack() as stack:
            self._recipe = stack.enter_context(FollowedRecipe(recipe, inspector, self.health))
            self._drift = KeptDrift(self._plan.out / OWN / "drift.json", self._log, inspector.recipe, self.health)
            stack.callback(self._drift.keep)
            if self._outbox is not None:
                stack.enter_context(self._outbox)
            stack.enter_context(Heartbeat(self._plan.out / HEALTH, self._plan.health_every, self.document, self.health))
            try:
                self._inspect(inspector)
            except Exception as error:
                self.health.failed(str(error) if isinstance(error, ClipspectError) else described(error))
                raise

    def _inspect(self, inspector: Inspector) -> None:
        last = self._log.last()
        if last is not None:  # the last run can have ended before its image was sorted
            self._retry("sorting", lambda: self._sorter.sort(last))
        keep_pictures = any(sink.keeps_pictures for sink in self._plan.sinks)
        items = self._recipe.before_each(self._folder.ready(self._stop))
        outcomes = inspector.stream(items, keep_pictures=keep_pictures)
        with closing(outcomes), closing(self._folder):  # the folder first: who waits for a file is let go
            for outcome in outcomes:
                self._finish(self._folder.under_way(outcome.item), outcome, inspector)
                if self._stop:
                    break

    def _finish(self, candidate: Candidate, outcome: Outcome, inspector: Inspector) -> None:
        """The outcome of a file under way: into the log, unless it is not yet to be told."""
        part = candidate.part
        if Part.at(self._plan.folder, part.name) != part:  # it has gone, or what was read may be a mixture
            self._folder.release(candidate)
            return
        if isinstance(outcome.error, ImageReadError):  # nothing is known of the image: it is told, and waited for
            self._folder.release(candidate, unread=str(outcome.error))
            return
        if isinstance(outcome.error, ImageError) and not candidate.last_try:
            self._folder.release(candidate, again=True)
            return
        record = record_of(outcome, inspector, id=part.id, file=FileRecord(part.name, part.size, part.mtime_ns))
        record = self._log.linked(with_files(record, outcome, (*self._plan.sinks, self._sorter)))
        if not (
            all(self._give(sink, "sink", record, outcome) for sink in self._plan.sinks)
            and self._give(self._log, "log", record, outcome)
        ):
            return
        self._drift.take(record, inspector.recipe if outcome.result is None else outcome.result.recipe)
        if not self._retry("index", lambda: self._enter(part)):
            return
        self._folder.release(candidate)
        self.health.inspected(verdict_folder(record), (monotonic() - candidate.since) * 1e3)
        if self._outbox is not None:
            self._outbox.take(record, outcome)
        for sink in self._shown:
            sink.take(record, outcome)
        self._give(self._sorter, "sorting", record, outcome)

    def _give(self, sink: Sink, what: str, record: Record, outcome: Outcome) -> bool:
        return self._retry(what, lambda: sink.take(record, outcome))

    def _enter(self, part: Part) -> None:
        try:
            self._index.add(part)
        except sqlite3.OperationalError as error:  # a full disk; whatever else it is, the log has the line
            raise OSError(errno.ENOSPC, str(error), self._plan.out / OWN) from error

    def _retry(self, what: str, action: Callable[[], None]) -> bool:
        """Until it works; False when stop is asked for before."""
        while True:
            try:
                action()
            except OSError as error:
                where = f"{error.filename}: " if error.filename else ""
                self.health.problem(
                    what, f"{what}: {where}{error.strerror or error}: inspection waits; {_REMEDY[what]}"
                )
            else:
                self.health.problem(what, None)
                return True
            until = monotonic() + _RETRY_S
            while monotonic() < until:
                if self._stop:
                    return False
                time.sleep(_LOOK_FOR_STOP_S)

    def document(self, status: str) -> dict[str, Any]:
        """The health document."""
        mqtt = self._outbox.report() if self._outbox is not None else None
        link = self._log.link
        log = None if link is None else {"log": link.log, "line": link.line, "digest": link.digest}
        document = self.health.document(status, self._folder.backlog, mqtt)
        return {**document, "recipe": self._recipe.report(), "drift": self._drift.report(), "log": log}

    def _made_outbox(self, cursor: Path) -> Outbox | None:
        if self._plan.broker is None:
            return None
        return Outbox(
            self._plan.broker,
            self._log,
            cursor,
            status=self.document,
            every=self._plan.health_every,
            problem=lambda text: self.health.problem("mqtt", text),
        )


def _check_places(plan: Plan) -> None:
    if not plan.folder.is_dir():
        raise ClipspectError(f"{plan.folder}: no such folder to watch: create it, or mount it first")
    try:
        (plan.out / OWN).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ClipspectError(f"{plan.out}: cannot be written ({error.strerror}): choose another --out") from error
    folder, out = plan.folder.resolve(), plan.out.resolve()
    if folder == out or any(folder.is_relative_to(out / name) for name in VERDICT_FOLDERS):
        raise ClipspectError(f"{plan.folder}: is where results go: choose an --out that does not hold it")
