"""Control charts for people: an EWMA chart of each quantity, and a p-chart of parts that are not passed.

Their limits lie at three standard errors, as in any textbook (Montgomery, "Introduction to Statistical Quality
Control", chapters 7 and 9). They show where a line wanders; the alarm with a promise is the detector's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from clipspect.inspection.record import Record
from clipspect.line.drift import NOT_PASSED, QUANTITIES, SCORE, ScoredBy, calibration_scores, quantities_of, scored_by
from clipspect.recipes.recipe import Recipe

LAMBDA = 0.05  # weight of the newest value
SIGMAS = 3.0
FIRST = 30  # values that the limits of an EWMA chart are of, where calibration has none
FIRST_JUDGED = 500  # parts that the middle of a p-chart is of, where calibration promised none
SHARE_BLOCK = 100  # parts of one point of a p-chart, until there are too many points
MOST_BLOCKS = 240


@dataclass
class Block:
    """Consecutive values."""

    first: int  # part
    last: int
    count: int
    total: float
    low: float
    high: float
    end: float  # the last value


@dataclass
class Blocks:
    """Values in at most `MOST_BLOCKS` blocks of equal size: when there are more, each two become one."""

    size: int
    rows: list[Block] = field(default_factory=list)

    def take(self, part: int, value: float) -> None:
        if self.rows and self.rows[-1].count < self.size:
            self.rows[-1] = _joined(self.rows[-1], Block(part, part, 1, value, value, value, value))
            return
        if len(self.rows) == MOST_BLOCKS:
            self.rows = [_joined(*pair) for pair in zip(self.rows[::2], self.rows[1::2])]
            self.size *= 2
        self.rows.append(Block(part, part, 1, value, value, value, value))


class Ewma:
    """The exponentially weighted moving average of one quantity (Roberts, 1959)."""

    def __init__(self, known: Sequence[float] = ()) -> None:
        """With enough known values the limits are theirs, else those of the first values."""
        self.blocks = Blocks(1)
        self.centre = math.nan  # until there are enough values
        self.reach = math.nan  # from the centre to a limit, once the average has run for a while
        self._first: list[tuple[int, float]] = []
        if len(known) >= FIRST:
            self._settle(known)

    def take(self, part: int, value: float) -> None:
        if not math.isnan(self.centre):
            self._move(part, value)
            return
        self._first.append((part, value))
        if len(self._first) == FIRST:
            self._settle([value for _, value in self._first])
            for earlier in self._first:
                self._move(*earlier)
            self._first = []

    def _settle(self, values: Sequence[float]) -> None:
        self.centre = math.fsum(values) / len(values)
        variance = math.fsum((value - self.centre) ** 2 for value in values) / (len(values) - 1)
        self.reach = SIGMAS * math.sqrt(variance * LAMBDA / (2 - LAMBDA))
        self._average = self.centre

    def _move(self, part: int, value: float) -> None:
        self._average += LAMBDA * (value - self._average)
        self.blocks.take(part, self._average)


class Shares:
    """A p-chart: the share of judged parts that are not passed, in blocks."""

    def __init__(self, expected: float | None = None) -> None:
        """`expected` is the share that calibration promised on average; None: that of the first parts."""
        self.blocks = Blocks(SHARE_BLOCK)
        self.expected = expected
        self._judged = self._not_passed = 0

    @property
    def centre(self) -> float:
        return self._not_passed / max(self._judged, 1) if self.expected is None else self.expected

    @property
    def reach(self) -> float:
        """From the centre to a limit, for a full block."""
        return SIGMAS * math.sqrt(self.centre * (1 - self.centre) / self.blocks.size)

    def take(self, part: int, not_passed: float) -> None:
        self.blocks.take(part, not_passed)
        if self._judged < FIRST_JUDGED:
            self._judged += 1
            self._not_passed += not_passed > 0


class Charts:
    """The charts of the last span of one recipe name, drawn while its records are read."""

    def __init__(self, recipe: Recipe | None = None) -> None:
        self._recipe = recipe
        self._scored_by: ScoredBy | None = None

    def take(self, record: Record, part: int) -> None:
        by = scored_by(record)
        if by != self._scored_by:
            self._scored_by = by
            self._start(record)
        for quantity, value in quantities_of(record).items():
            if quantity == NOT_PASSED:
                self.shares.take(part, value)
            else:
                self.averages[quantity].take(part, value)

    def _start(self, record: Record) -> None:
        known, _ = calibration_scores(record, self._recipe)
        promise = None if record.limits is None else record.limits.review_promise
        self.calibrated = len(known)
        self.averages = {name: Ewma(known if name == SCORE else ()) for name in QUANTITIES if name != NOT_PASSED}
        self.shares = Shares(None if promise is None else promise.rank / (promise.parts + 1))


def _joined(a: Block, b: Block) -> Block:
    return Block(a.first, b.last, a.count + b.count, a.total + b.total, min(a.low, b.low), max(a.high, b.high), b.end)
