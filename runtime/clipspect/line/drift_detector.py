"""The detector: bets against exchangeability, one row a quantity, and the alarm with its promise.

Normal scores of conformal p-values (`drift_ranks`) are independent N(0, 1) while nothing changes. Each bet plays a
change: a shift by d standard deviations, where a part of normal score z multiplies the stake by exp(d z - d^2 / 2), or
more parts far out, where those beyond a share q multiply it by a and the others by (1 - a q) / (1 - q). While nothing
changes the mean of both is 1. A stake is added at every part, so that a change is found as fast after a year as on the
first day (Shiryaev, 1963; Roberts, 1966; conformal: Volkhonskiy et al., 2017). Less all that was staked, which is 1 in
`PARTS` parts, the sum is a martingale. So it reaches 1 / rate with a probability of at most `rate` within `PARTS` parts
(Doob), and on average not before `PARTS / rate` parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

PARTS = 10_000  # of the promise: about a working shift's
_SHIFTS = (0.25, 0.5, 1.0, 2.0, 4.0)  # standard deviations; of a shift of less than half the smallest none gains
_TAILS = ((0.01, 6.0), (0.05, 4.0))  # q and a: what the few parts show that are not passed
LEAST_CHANGE = 0.01  # of the value before: a smaller one is no news, however surely it is seen
_SIGNED = np.array([*(-shift for shift in _SHIFTS), *_SHIFTS])
_BETS = len(_SIGNED) + 2 * len(_TAILS)
_STAKE = 1 / (PARTS * _BETS)
_MOST = 1e12  # times the alarm's level: a bet that has won more need not be remembered


@dataclass(frozen=True)
class Found:
    """A change of one row: since which part, and the mean before it and since."""

    row: int
    since: int
    since_time: float
    before: float
    after: float


class Detector:
    """A row of bets for each quantity. Parts are numbered by the caller, the time is any number that grows."""

    def __init__(self, rows: int, false_alarm: float) -> None:
        """`false_alarm` is a row's: the probability of an alarm within `PARTS` parts without a change."""
        shape = (rows, _BETS)
        self.level = 1 / false_alarm
        self._won = np.zeros(shape)  # what the bets are worth; the alarm is at their sum
        self._gain = np.zeros(shape)  # CUSUM of each bet's logarithm: where it was last 0 the change is likeliest
        self._since = np.zeros(shape)
        self._since_time = np.zeros(shape)
        self._since_count = np.zeros(shape)
        self._since_sum = np.zeros(shape)
        self._count = np.zeros(rows)
        self._sum = np.zeros(rows)

    @property
    def evidence(self) -> npt.NDArray[np.float64]:
        """Of each row, from 0; the alarm is at 1."""
        evidence: npt.NDArray[np.float64] = self._won.sum(1) / self.level
        return evidence

    def know(self, row: int, values: npt.NDArray[np.float64]) -> None:
        """Values before the first part, such as calibration's: the mean before a change is theirs, too."""
        self._count[row] += len(values)
        self._sum[row] += values.sum()

    def take(
        self, scores: npt.NDArray[np.float64], values: npt.NDArray[np.float64], number: int, time: float
    ) -> list[Found]:
        """One part: of each row its normal score and its value, both NaN where the part has none.

        A row that is found to have changed starts anew: what it is now is what further parts are compared with.
        """
        seen = ~np.isnan(scores)
        logs = _log_factors(np.where(seen, scores, 0))
        self._won = np.where(
            seen[:, None], np.minimum((self._won + _STAKE) * np.exp(logs), self.level * _MOST), self._won
        )
        self._follow(seen, logs, np.where(seen, values, 0), number, time)
        over = np.flatnonzero(seen & (self._won.sum(1) >= self.level))
        found = [change for row in over.tolist() if (change := self._change(row)) is not None]
        for change in found:
            self.restart(change.row)
        return found

    def restart(self, row: int) -> None:
        """Forget what was before."""
        for state in (self._won, self._gain, self._count, self._sum):
            state[row] = 0

    def state(self) -> dict[str, Any]:
        """All that changes, as lists."""
        return {name: value.tolist() for name, value in self._arrays().items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Raises ValueError for the state of a detector of another shape."""
        for name, value in self._arrays().items():
            given = np.array(state[name], np.float64)
            if given.shape != value.shape:
                raise ValueError(f"{name}: expected {value.shape}, found {given.shape}")
            value[...] = given

    def _arrays(self) -> dict[str, npt.NDArray[np.float64]]:
        return {name.lstrip("_"): value for name, value in vars(self).items() if isinstance(value, np.ndarray)}

    def _follow(
        self,
        seen: npt.NDArray[np.bool_],
        logs: npt.NDArray[np.float64],
        values: npt.NDArray[np.float64],
        number: int,
        time: float,
    ) -> None:
        """When each bet last began to gain, and the values since then."""
        begins = seen[:, None] & (self._gain <= 0)
        self._since[begins], self._since_time[begins] = number, time
        self._since_count[begins] = self._since_sum[begins] = 0
        self._gain = np.where(seen[:, None], np.maximum(self._gain, 0) + logs, self._gain)
        self._since_count += seen[:, None]
        self._since_sum += values[:, None]
        self._count += seen
        self._sum += values

    def _change(self, row: int) -> Found | None:
        """What the bet that won most says; None while the change is too small to be told."""
        bet = int(np.argmax(self._won[row]))
        count = self._since_count[row, bet]
        earlier = self._count[row] - count
        if earlier <= 0:
            return None
        after = self._since_sum[row, bet] / count
        before = (self._sum[row] - self._since_sum[row, bet]) / earlier
        if abs(after - before) < LEAST_CHANGE * abs(before):
            return None
        return Found(row, int(self._since[row, bet]), float(self._since_time[row, bet]), float(before), float(after))


def _log_factors(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The logarithms of what each bet's stake is multiplied by, (rows, bets)."""
    columns = [scores[:, None] * _SIGNED - _SIGNED**2 / 2]
    for share, factor in _TAILS:
        outside = -NormalDist().inv_cdf(share)
        far, near = math.log(factor), math.log((1 - factor * share) / (1 - share))
        columns.append(np.where(np.stack([scores > outside, scores < -outside], 1), far, near))
    return np.concatenate(columns, 1)
