"""Drift: has the light, the lens or the part changed since the recipe is in use? Records in, changes out.

Each quantity of the records is a row of a detector. The score is that of passed parts, whose distribution ends at the
review limit, beside those of calibration that lie below it; what else is measured of a frame is taken of every frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import msgspec
import numpy as np

from clipspect.base import clock
from clipspect.base.document import MismatchError
from clipspect.inspection.record import Record
from clipspect.line.drift_detector import Detector, Found
from clipspect.line.drift_ranks import Ranks, tie_of
from clipspect.recipes.calibration import Calibration
from clipspect.recipes.promise import percent
from clipspect.recipes.recipe import Recipe

FALSE_ALARM = 0.01
SCORE, NOT_PASSED = "score", "share not passed"
POINTS_TO = {  # when it falls, and when it rises; what names a change first: light and blur change all that follow
    "brightness": ("the light", "the light"),
    "sharpness": ("the lens", "the part"),
    "saturation": ("the light or the lens", "the light"),
    "contrast": ("the light or the lens", "the light"),
    "layout": ("what the camera sees", "what the camera sees"),
    "embedding": ("what the camera sees", "what the camera sees"),
    SCORE: ("the part", "the part"),
    NOT_PASSED: ("the part", "the part"),
}
QUANTITIES = tuple(POINTS_TO)
_KEPT = 100  # changes of a recipe, the last ones


@dataclass(frozen=True)
class Change:
    """One quantity is no longer what it was. Parts are numbered from 1, as the lines of the log."""

    quantity: str
    points_to: str
    before: float  # mean up to the change
    after: float  # mean from it to where it was found
    part: int  # about the first that is different
    time: str  # its own, ISO 8601, UTC
    found_part: int
    found_time: str

    @property
    def words(self) -> str:
        """As "brightness fell by 9 % (0.412 to 0.375)"."""
        verb = "rose" if self.after > self.before else "fell"
        if self.before > 0 and self.quantity != NOT_PASSED:
            share = abs(self.after / self.before - 1) * 100
            by = f" by {share:.2g} %" if share < 10 else f" by {share:.0f} %"
        else:
            by = ""
        before, after = self.values
        return f"{self.quantity} {verb}{by} ({before} to {after})"

    @property
    def values(self) -> tuple[str, str]:
        """Before and after; a share of parts is told in per cent."""
        before, after = (percent(v) if self.quantity == NOT_PASSED else f"{v:.4g}" for v in (self.before, self.after))
        return before, after


@dataclass(frozen=True)
class ScoredBy:
    """What must be the same for records to be comparable."""

    bundle: str  # digest
    recipe: str  # digest
    backend: str
    device: str
    precision: str


@dataclass
class Span:
    """The records of one recipe, as it is, in one engine: what can be compared with each other."""

    recipe: str  # its name
    scored_by: ScoredBy
    parts: int = 0
    changes: list[Change] = field(default_factory=list)  # the last ones
    found: int = 0  # changes, all of them
    calibrated: int = 0  # parts of calibration that scores are compared with
    below: float | None = None  # scores that count; None: all
    evidence: dict[str, float] = field(default_factory=dict)  # of each quantity, from 0; a change is found at 1


class Drift:
    """What the records of a log tell, whatever their number, in bounded memory.

    Without a change, at most a share `false_alarm` of all spans of 10,000 parts from the start of a recipe has an
    alarm, all quantities together. Of each recipe's name the last span counts: another digest, bundle or engine
    starts anew.
    """

    def __init__(self, false_alarm: float = FALSE_ALARM, recipe: Recipe | None = None) -> None:
        """With a recipe, its records are compared with the parts that it was calibrated with."""
        self.false_alarm, self.recipe = false_alarm, recipe
        self.parts = 0
        self.part = 0  # the last one's number: its line in the log's chain, else how many there were
        self._streams: dict[str, _Streams] = {}

    @property
    def spans(self) -> list[Span]:
        """The last one of each recipe's name, in the order of their first records."""
        return [streams.span for streams in self._streams.values()]

    def take(self, record: Record) -> list[Change]:
        """One more line of the log, and the changes that it shows."""
        self.parts += 1
        self.part = self.parts if record.chain is None else record.chain.line
        by = scored_by(record)
        streams = self._streams.get(record.recipe.name)
        if streams is None or streams.span.scored_by != by:
            streams = _Streams(Span(record.recipe.name, by), self.false_alarm)
            streams.compare_with(*calibration_scores(record, self.recipe))
            self._streams[record.recipe.name] = streams
        return streams.take(record, self.part)

    def state(self) -> bytes:
        """All of it as JSON, for `restored`."""
        kept = _Kept(self.false_alarm, self.parts, self.part, [streams.kept() for streams in self._streams.values()])
        return msgspec.json.encode(kept)

    @classmethod
    def restored(cls, state: bytes, false_alarm: float, recipe: Recipe | None = None) -> Drift:
        """Raises MismatchError for what is no such state, or one of another false alarm rate."""
        try:
            kept = msgspec.json.decode(state, type=_Kept)
            if kept.false_alarm != false_alarm:
                raise ValueError(f"the false alarm rate was {kept.false_alarm}")
            drift = cls(false_alarm, recipe)
            drift.parts, drift.part = kept.parts, kept.part
            drift._streams = {of.span.recipe: _Streams.restored(of, false_alarm) for of in kept.streams}
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
            raise MismatchError(f"not the state of a search for drift ({error})") from error
        return drift


def quantities_of(record: Record, below: float | None = None) -> dict[str, float]:
    """What a record tells of each quantity that it has; the score only of passed parts, and of those below a value."""
    found = {name: value for name, value in record.quality.items() if name in POINTS_TO}
    if record.verdict is not None:
        found[NOT_PASSED] = float(record.verdict != "pass")
    if record.score is not None and record.verdict in (None, "pass") and (below is None or record.score < below):
        found[SCORE] = record.score
    return found


def scored_by(record: Record) -> ScoredBy:
    engine = record.engine
    return ScoredBy(record.bundle.digest, record.recipe.digest, engine.backend, engine.device, engine.precision)


def calibration_scores(record: Record, recipe: Recipe | None) -> tuple[list[float], float | None]:
    """Scores of calibration that a record's passed part can be compared with, and the value that both must lie under.

    Given the limit, the k-th largest score, the scores below the largest that passes are as those of passed parts below
    it: the limit is made of the others alone. There are none where frames were scored otherwise: by another engine,
    several to a part, or the references themselves.
    """
    if recipe is None or recipe.digest != record.recipe.digest or recipe.calibration is None:
        return [], None
    calibration: Calibration = recipe.calibration
    scorer, engine = calibration.scorer, record.engine
    same = (scorer.backend, scorer.device, scorer.precision) == (engine.backend, engine.device, engine.precision)
    if not same or calibration.estimate or any(part.frames != 1 for part in calibration.parts):
        return [], None
    review = math.inf if recipe.limits is None else recipe.limits.review
    passed = [part.score for part in calibration.parts if not part.struck and part.score < review]
    if recipe.limits is None or not passed:
        return passed, None
    return [score for score in passed if score < max(passed)], max(passed)


def moment_of(record: Record) -> float:
    """When a frame was captured, else judged, in seconds; a time that nobody can read is 0."""
    for text in (record.item.captured_at, record.time):
        if text is not None:
            try:
                return datetime.fromisoformat(text).timestamp()
            except ValueError:
                pass
    return 0.0


@dataclass
class _KeptStreams:
    span: Span
    ranks: list[list[tuple[int, int]]]
    detector: dict[str, Any]


@dataclass
class _Kept:
    false_alarm: float
    parts: int
    part: int
    streams: list[_KeptStreams]


class _Streams:
    """The quantities of one span, each with its ranks and its row of the detector."""

    def __init__(self, span: Span, false_alarm: float) -> None:
        self.span = span
        self._ranks = [Ranks() for _ in QUANTITIES]
        self._detector = Detector(len(QUANTITIES), false_alarm / len(QUANTITIES))

    def compare_with(self, scores: Iterable[float], below: float | None) -> None:
        known = np.array(list(scores), np.float64)
        row = QUANTITIES.index(SCORE)
        self.span.calibrated, self.span.below = len(known), below
        self._ranks[row] = Ranks(known.tolist())
        self._detector.know(row, known)

    def take(self, record: Record, number: int) -> list[Change]:
        self.span.parts += 1
        values, scores = np.full((2, len(QUANTITIES)), np.nan)
        for quantity, value in quantities_of(record, self.span.below).items():
            row = QUANTITIES.index(quantity)
            values[row] = value
            scores[row] = self._ranks[row].normal_score(value, tie_of(record.id, quantity))
        moment = moment_of(record)
        found = self._detector.take(scores, values, number, moment)
        changes = [self._told(change, number, moment) for change in found]
        if changes:
            self.span.found += len(changes)
            self.span.changes = [*self.span.changes, *changes][-_KEPT:]
        self.span.evidence = dict(zip(QUANTITIES, self._detector.evidence.tolist()))
        return changes

    def kept(self) -> _KeptStreams:
        return _KeptStreams(self.span, [ranks.state() for ranks in self._ranks], self._detector.state())

    @classmethod
    def restored(cls, kept: _KeptStreams, false_alarm: float) -> _Streams:
        streams = cls(kept.span, false_alarm)
        streams._ranks = [Ranks.restored(state) for _, state in zip(QUANTITIES, kept.ranks, strict=True)]
        streams._detector.restore(kept.detector)
        return streams

    def _told(self, found: Found, number: int, moment: float) -> Change:
        quantity = QUANTITIES[found.row]
        self._ranks[found.row] = Ranks()
        if quantity == SCORE:
            self.span.calibrated = 0
        return Change(
            quantity,
            POINTS_TO[quantity][found.after > found.before],
            found.before,
            found.after,
            found.since,
            _written(found.since_time),
            number,
            _written(moment),
        )


def _written(seconds: float) -> str:
    return clock.written(datetime.fromtimestamp(seconds, timezone.utc))
