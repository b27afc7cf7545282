"""The search for drift beside a log that grows: kept on disk from time to time, brought up to date from the log."""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from clipspect.base.document import MismatchError, from_json
from clipspect.base.errors import ClipspectError
from clipspect.base.files import atomic_file
from clipspect.inspection.record import Record
from clipspect.line.drift import FALSE_ALARM, Change, Drift
from clipspect.line.drift_words import events
from clipspect.line.health import Health
from clipspect.recipes.recipe import Recipe
from clipspect.sinks.log import Log
from clipspect.sinks.log_file import Position
from clipspect.sinks.records import parse_record

_EVERY = 10_000  # records between two times that it is kept
_TOLD = 5  # changes in the health document, the last ones


@dataclass(frozen=True)
class _Kept:
    log: str  # its name
    reached: Position
    drift: str  # Drift.state()


class KeptDrift:
    """Takes each record once it is in the log, and tells of a change once. One thread takes, any may ask.

    After a restart it goes on where it was: what it kept, and the lines of the log since then. What it kept lost, or of
    lines that the log no longer has, it begins with the log's last file.
    """

    def __init__(self, path: Path, log: Log, recipe: Recipe, health: Health) -> None:
        self._path, self._log, self._health, self._lock = path, log, health, threading.Lock()
        self._drift, self._reached = self._restored(recipe)
        self._since_kept = 0
        self._recipe = recipe.name
        for line, reached in log.lines(self._reached):
            try:
                record = parse_record(line, f"{log.path}: line {reached.line} of the log")
            except MismatchError as error:
                health.say(f"{error}: drift is looked for without it; see: clipspect audit {log.path}")
                continue
            self._take(record, reached)

    def take(self, record: Record, recipe: Recipe) -> None:
        """The log's last record, and the recipe that judged it."""
        self._drift.recipe = recipe
        for event in events(self._take(record, self._log.end)):
            self._health.say(f"drift {event.words}" + (f"; with it, {event.also}" if event.also else ""))
        self._since_kept += 1
        if self._since_kept >= _EVERY:
            self.keep()

    def keep(self) -> None:
        """On the disk; where that cannot be, health says it, and the log has all that is needed."""
        kept = _Kept(self._log.name, self._reached, self._drift.state().decode())
        try:
            with atomic_file(self._path) as file:
                file.write(msgspec.json.encode(kept))
        except ClipspectError as error:
            self._health.problem("drift", f"drift: {error}")
            return
        self._health.problem("drift", None)
        self._since_kept = 0

    def report(self) -> dict[str, Any]:
        """For the health document: of the recipe that judged last."""
        with self._lock:
            spans = [span for span in self._drift.spans if span.recipe == self._recipe]
            changes = [change for span in spans for change in span.changes][-_TOLD:]
            evidence = {name: value for span in spans for name, value in span.evidence.items() if value > 0}
        return {
            "alarm": bool(changes),
            "false_alarm": self._drift.false_alarm,
            "evidence": {name: float(f"{value:.2g}") for name, value in evidence.items()},
            "changes": [{"words": change.words, **dataclasses.asdict(change)} for change in changes],
        }

    def _take(self, record: Record, reached: Position) -> list[Change]:
        with self._lock:
            self._recipe, self._reached = record.recipe.name, reached
            return self._drift.take(record)

    def _restored(self, recipe: Recipe) -> tuple[Drift, Position]:
        """The search as it was kept, and the place in the log up to which it has read."""
        anew = Position.before(self._log.end.first)
        try:
            kept = from_json(_Kept, self._path.read_bytes(), self._path.name)
            drift = Drift.restored(kept.drift.encode(), FALSE_ALARM, recipe)
        except FileNotFoundError:
            return Drift(recipe=recipe), anew
        except (OSError, MismatchError) as error:
            self._health.say(f"drift: {error}: the search begins anew with the log's last file")
            return Drift(recipe=recipe), anew
        place, known = self._log.resume(kept.log, kept.reached)
        if known < kept.reached.line:  # the log no longer has what was counted
            return Drift(recipe=recipe), anew
        return drift, place
