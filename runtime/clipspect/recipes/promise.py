"""The promise of a limit: what the scores of good parts alone can state of the good parts to come.

Of n scores of good parts, one a part, none of them in the gallery, the limit is the k-th largest: whatever their
distribution, the share of good parts above it is Beta(k, n - k + 1), or less where scores tie. So with confidence C at
most p = Beta^-1(C; k, n - k + 1) of them are rejected, and k / (n + 1) on average (order statistics; Wilks, 1941).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import RecipeError
from clipspect.recipes.calibration import PartScore
from clipspect.recipes.limits import Limits, Promise

FALSE_REJECT_RATE, UNCERTAIN, CONFIDENCE = 0.01, 0.05, 0.95
_FEWEST_TERMS = 200  # of a sum over the binomial distribution


def limits_from_scores(
    scores: npt.ArrayLike | Iterable[float],
    false_reject_rate: float = FALSE_REJECT_RATE,
    uncertain: float | None = None,
    confidence: float = CONFIDENCE,
    *,
    anyway: bool = False,
) -> Limits:
    """Limits on the scores of good parts, one finite number a part: at most `false_reject_rate` of good parts fail, at
    most `uncertain` (5 %, or the false reject rate where that is more) are not passed (uncertain or failed), each with
    `confidence`.

    With `anyway` too few parts give the largest score as limit, and the promise says what it is worth.
    Raises RecipeError: too few parts, no finite numbers, rates that are none.
    """
    uncertain = checked_uncertain(false_reject_rate, uncertain, confidence)
    values = _checked(scores)
    reject, reject_promise = limit_for(values, false_reject_rate, confidence, anyway=anyway)
    review, review_promise = limit_for(values, uncertain, confidence, anyway=anyway)
    return Limits(review, reject, review_promise=review_promise, reject_promise=reject_promise)


def limits_of_parts(
    parts: Iterable[PartScore],
    false_reject_rate: float,
    uncertain: float,
    confidence: float,
    *,
    answered: Sequence[PartScore] = (),
    anyway: bool = False,
) -> Limits:
    """Limits on the scores and the maps of good parts that were not struck: at most `uncertain` show any region.

    `answered` parts were found good by a person, who chose them by what was said of them: they raise limits, and
    promises stay those of the others.
    """
    counting = [part for part in parts if not part.struck]
    limits = limits_from_scores(
        [part.score for part in counting], false_reject_rate, uncertain, confidence, anyway=anyway
    )
    map_limit, promise = limit_for([part.map_maximum for part in counting], uncertain, confidence, anyway=anyway)
    limits = dataclasses.replace(limits, map=map_limit, map_promise=promise)
    if not answered:
        return limits
    scores, maxima = (
        np.array([getattr(part, name) for part in (*counting, *answered)]) for name in ("score", "map_maximum")
    )
    ranks = [max(1, largest_rank(len(counting), rate, confidence)) for rate in (false_reject_rate, uncertain)]
    return dataclasses.replace(
        limits, reject=_above(scores, ranks[0]), review=_above(scores, ranks[1]), map=_above(maxima, ranks[1])
    )


def limit_for(
    scores: npt.ArrayLike, rate: float, confidence: float, *, anyway: bool = False, what: str = "good parts"
) -> tuple[float, Promise]:
    """One limit and its promise. It lies just above the k-th largest score, so that parts of equal score are passed.

    Raises RecipeError where there are none, or without `anyway` too few.
    """
    values = np.sort(_checked(scores))[::-1]
    if not anyway:
        require_enough(len(values), rate, confidence, what=what)
    rank = max(1, largest_rank(len(values), rate, confidence))
    promised = bound(rank, len(values), confidence)
    return _above(values, rank), Promise(promised, confidence, len(values), rank, rate)


def _above(scores: npt.NDArray[np.float64], rank: int) -> float:
    """The limit just above the rank-th largest."""
    return float(np.nextafter(np.sort(scores)[-rank], np.inf))


def require_enough(parts: int, rate: float, confidence: float, *, what: str = "good parts") -> None:
    """Raises RecipeError where so many parts cannot keep the rate with the confidence."""
    if largest_rank(parts, rate, confidence) == 0:
        raise RecipeError(
            f"with {parts} {what} the best that can be promised is {percent(bound(1, parts, confidence))} "
            f"({percent(confidence)}); {parts_needed(rate, confidence)} are needed for {percent(rate)}: "
            "give more, ask for less (--false-reject-rate, --uncertain), or take the largest score (--anyway)"
        )


@lru_cache
def largest_rank(parts: int, rate: float, confidence: float) -> int:
    """The largest k for which the k-th largest of so many scores keeps the rate with the confidence; 0: none does."""
    low, high = 0, parts
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _confidence(middle, parts, rate) >= confidence else (low, middle - 1)
    return low


def parts_needed(rate: float, confidence: float, rank: int = 1) -> int:
    """The fewest parts whose k-th largest score keeps the rate with the confidence; of k = 1, the largest:
    1 - (1 - rate)^n >= confidence.
    """
    low, high = rank - 1, rank
    while _confidence(rank, high, rate) < confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _confidence(rank, middle, rate) < confidence else (low, middle)
    return high


@lru_cache
def bound(rank: int, parts: int, confidence: float) -> float:
    """Beta^-1(confidence; rank, parts - rank + 1): the share of good parts that at most reach the limit."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _confidence(rank, parts, middle) < confidence else (low, middle)
    return high


def percent(value: float) -> str:
    """A share in percent, with two digits that count: "7.2 %", "0.12 %", "95 %"."""
    text = f"{value * 100:.2g}" if value < 0.995 else f"{value * 100:.4g}"
    return f"{text} %"


def checked_uncertain(false_reject_rate: float, uncertain: float | None, confidence: float) -> float:
    """`uncertain`; where it is not given, 5 %, or the false reject rate if that is more.

    Raises RecipeError for rates and a confidence that mean nothing.
    """
    asked = UNCERTAIN if uncertain is None else uncertain
    for name, value in (("false reject rate", false_reject_rate), ("uncertain", asked), ("confidence", confidence)):
        if not isinstance(value, (int, float)) or not 0 < value < 1:
            raise RecipeError(f"{name}: expected more than 0 and less than 1 (100 %), found {value!r}")
    if uncertain is None:
        return max(asked, false_reject_rate)
    if uncertain < false_reject_rate:
        raise RecipeError(
            f"uncertain {percent(uncertain)} is below the false reject rate {percent(false_reject_rate)}: it is the "
            "share of good parts that are not passed, and failed ones count in it: give a larger one"
        )
    return uncertain


def _confidence(rank: int, parts: int, rate: float) -> float:
    """Beta(rank, parts - rank + 1)'s distribution at the rate: P(Binomial(parts, rate) >= rank), to rounding."""
    if rate <= 0 or rate >= 1:
        return float(rate >= 1)
    # the shorter of both sums, each term from its logarithm; what lies 40 standard deviations further adds nothing
    below = rank <= parts * rate
    reach = _FEWEST_TERMS + math.ceil(40 * math.sqrt(parts * rate * (1 - rate)))
    counts = np.arange(max(0, rank - reach), rank) if below else np.arange(rank, min(parts, rank + reach) + 1)
    total = math.fsum(
        np.exp(_log_binomial(counts, parts) + counts * math.log(rate) + (parts - counts) * math.log1p(-rate))
    )
    return 1 - total if below else total


def _log_binomial(counts: npt.NDArray[np.int64], parts: int) -> npt.NDArray[np.float64]:
    return np.array([math.lgamma(parts + 1) - math.lgamma(k + 1) - math.lgamma(parts - k + 1) for k in counts.tolist()])


def _checked(scores: npt.ArrayLike | Iterable[float]) -> npt.NDArray[np.float64]:
    listed = scores if isinstance(scores, np.ndarray) else list(scores)  # type: ignore[arg-type]
    try:
        values = np.asarray(listed, np.float64)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"scores: expected finite numbers, one a part ({error})") from error
    if values.ndim != 1:
        raise RecipeError(f"scores: expected one number a part, found an array of shape {values.shape}")
    if len(values) == 0:
        raise RecipeError("scores: there are none: give those of good parts, one a part")
    if not np.isfinite(values).all():
        raise RecipeError(f"scores: number {int(np.argmin(np.isfinite(values)))} is {values[~np.isfinite(values)][0]}")
    if values.max() == np.finfo(np.float64).max:
        raise RecipeError(f"scores: the largest, {values.max()}, leaves no room for a limit above it")
    return values
