"""What the scores of a candidate say: how well they part defects from good parts, or how steady good parts score."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from clipspect.recipes.defects import escapes_of
from clipspect.recipes.promise import CONFIDENCE, limits_from_scores
from clipspect.recipes.proportion import Proportion
from clipspect_lab.evaluation.metrics import auroc
from clipspect_lab.evaluation.resampling import Answers, differences, intervals

Scores = npt.NDArray[np.float64]

RESAMPLES = 1000
_QUARTILES = (75, 25)
_NORMAL_QUARTILES = 2 * NormalDist().inv_cdf(0.75)  # apart, in standard deviations
_STEPS = 60  # of a bisection


@dataclass(frozen=True)
class Accuracy:
    """With defective parts: image AUROC with its interval, and what a limit that good parts allow catches."""

    auroc: float
    low: float
    high: float
    caught: Proportion  # defective parts that fail at it


@dataclass(frozen=True)
class Steadiness:
    """Without: how much good parts' scores spread, and how far the worst lies from the rest."""

    median: float
    spread: float  # standard deviation of the rest, from their quartiles
    worst: float  # of the worst part from the median of the rest, in spreads


def accuracy_of(good: Scores, defective: Scores, false_reject_rate: float) -> Accuracy:
    """The limit is that which `clipspect calibrate --anyway` would set on these good parts."""
    labels = np.repeat([False, True], (len(good), len(defective)))
    value = auroc(labels, np.concatenate([good, defective]))
    assert value is not None
    limits = limits_from_scores(good, false_reject_rate, max(false_reject_rate, 0.05), anyway=True)
    missed = escapes_of(limits, good, defective).not_failed
    caught = Proportion(missed.parts - missed.count, missed.parts)
    return Accuracy(value, *auroc_interval(value, len(defective), len(good)), caught)


def auroc_interval(value: float, defective: int, good: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Newcombe's score interval (2006, method 5): it is no point where every defective part outscores every good one.

    The bounds are the A for which |value - A| = z sqrt(V(A)), V being Hanley and McNeil's variance (1982) with both
    counts of parts replaced by their mean in its last two terms.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    mean = (defective + good) / 2

    def reach(a: float) -> float:
        terms = 1 + (mean - 1) * ((1 - a) / (2 - a) + a / (1 + a))
        return z * math.sqrt(a * (1 - a) * terms / (defective * good))

    return _root(0.0, value, lambda a: value - a > reach(a)), _root(value, 1.0, lambda a: a - value <= reach(a))


def steadiness_of(scores: Scores) -> Steadiness:
    """Of three good parts or more."""
    median, spread, worst = (float(value[0]) for value in _steadiness(scores[None]))
    return Steadiness(median, spread, worst)


def auroc_apart(one: tuple[Scores, Scores], other: tuple[Scores, Scores], seed: int) -> bool:
    """Whether these photographs tell the other's AUROC from the one's: a paired bootstrap over the parts.

    Each is scores of good and of defective parts, the same parts in the same order.
    """
    found = differences(_answers(*one), _answers(*other), "advice", resamples=RESAMPLES, seed=seed)
    interval = intervals(found.values)["image_auroc"]
    return interval is not None and not interval[0] <= 0 <= interval[1]


def worst_apart(one: Scores, other: Scores, seed: int) -> bool:
    """The same of how far the worst good part lies."""
    drawn = np.random.default_rng(seed).integers(0, len(one), (RESAMPLES, len(one)))
    with np.errstate(invalid="ignore"):
        change = _steadiness(other[drawn])[2] - _steadiness(one[drawn])[2]
    change = change[np.isfinite(change)]
    if not change.size:
        return False
    low, high = np.quantile(change, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return not low <= 0 <= high


def _steadiness(scores: Scores) -> tuple[Scores, Scores, Scores]:
    """Median, spread, and the worst in spreads, of each row; where nothing spreads the last is 0 or infinite."""
    ordered = np.sort(scores, axis=1)
    rest, worst = ordered[:, :-1], ordered[:, -1]
    median = np.median(rest, axis=1)
    high, low = np.percentile(rest, _QUARTILES, axis=1)
    spread = (high - low) / _NORMAL_QUARTILES
    over = worst - median
    far = np.divide(over, spread, out=np.where(over > 0, np.inf, 0.0), where=spread > 0)
    return median, spread, far


def _answers(good: Scores, defective: Scores) -> Answers:
    labels = np.repeat([False, True], (len(good), len(defective)))
    return Answers((), np.zeros((0, 3), np.int64), labels, np.concatenate([good, defective]), None)


def _root(low: float, high: float, holds: Callable[[float], bool]) -> float:
    """Where between both a condition that holds at first ceases to."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
