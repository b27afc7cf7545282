"""The rule of limits: against SciPy's distributions, on drawn scores, and on what cannot be calibrated."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

import clipspect
from clipspect.base.errors import RecipeError
from clipspect.recipes.calibration import PartScore
from clipspect.recipes.promise import (
    bound,
    largest_rank,
    limit_for,
    limits_from_scores,
    limits_of_parts,
    parts_needed,
    percent,
)

Scores = npt.NDArray[np.float64]

rates = st.floats(1e-4, 0.999)
confidences = st.floats(0.5, 0.9999)


@st.composite
def ranks(draw: st.DrawFn) -> tuple[int, int]:
    parts = draw(st.integers(1, 20_000))
    return draw(st.integers(1, parts)), parts


@given(ranks(), confidences)
@example((1, 1), 0.95)
@example((20_000, 20_000), 0.95)
@example((9837, 1_000_000), 0.95)
def test_the_bound_is_the_quantile_of_scipys_beta(of: tuple[int, int], confidence: float) -> None:
    rank, parts = of
    assert bound(rank, parts, confidence) == pytest.approx(
        stats.beta.ppf(confidence, rank, parts - rank + 1), rel=1e-8, abs=1e-12
    )


@settings(max_examples=50)
@given(st.integers(1, 3000), rates, confidences)
def test_the_rank_is_the_largest_that_scipys_binomial_allows(parts: int, rate: float, confidence: float) -> None:
    """More than k - 1 of n good parts lie in the worst `rate` of them with at least the confidence."""
    allowed = stats.binom.sf(np.arange(parts), parts, rate)  # of P(X >= k) for k = 1, 2, ..., n
    rank = largest_rank(parts, rate, confidence)
    assert rank == 0 or allowed[rank - 1] >= confidence - 1e-9
    assert rank == parts or allowed[rank] < confidence + 1e-9


@given(rates, confidences)
def test_one_part_less_than_needed_is_too_few(rate: float, confidence: float) -> None:
    parts = parts_needed(rate, confidence)
    assert largest_rank(parts, rate, confidence) >= 1
    assert parts == 1 or largest_rank(parts - 1, rate, confidence) == 0


@pytest.mark.parametrize(
    ("rate", "fewest"),
    [
        (0.1, (29, 46, 61)),
        (0.05, (59, 93, 124)),
        (0.02, (149, 236, 313)),
        (0.01, (299, 473, 628)),
        (0.001, (2995, 4742, 6294)),
    ],
)
def test_so_many_parts_are_needed_for_the_first_three_ranks(rate: float, fewest: tuple[int, ...]) -> None:
    for rank, parts in enumerate(fewest, 1):
        assert largest_rank(parts, rate, 0.95) == rank
        assert largest_rank(parts - 1, rate, 0.95) == rank - 1
    assert parts_needed(rate, 0.95) == fewest[0]


@pytest.mark.parametrize(("parts", "worth"), [(10, "26 %"), (20, "14 %"), (50, "5.8 %"), (100, "3 %"), (1000, "0.3 %")])
def test_the_largest_score_as_limit_is_worth_this(parts: int, worth: str) -> None:
    limit, promise = limit_for(np.arange(parts, dtype=float), 1e-6, 0.95, anyway=True)
    assert (limit, promise.rank, promise.kept) == (math.nextafter(parts - 1, math.inf), 1, False)
    assert percent(promise.rate) == worth


def test_a_limit_lies_just_above_the_score_of_its_rank() -> None:
    scores = np.random.default_rng(0).permutation(1000) / 1000
    limits = limits_from_scores(scores)
    assert limits.reject_promise is not None
    assert limits.review_promise is not None
    assert (limits.reject_promise.rank, limits.review_promise.rank) == (5, 39)
    assert np.count_nonzero(scores >= limits.reject) == 4
    assert np.count_nonzero(scores >= limits.review) == 38
    assert limits.reject_promise.kept
    assert (limits.map, limits.map_promise) == (None, None)


# Draw n scores; the share of all that reach a limit.
DISTRIBUTIONS: dict[str, tuple[Callable[..., Scores], Callable[[float], float]]] = {
    "normal": (lambda rng, n: rng.normal(size=n), stats.norm.sf),
    "heavy tail": (lambda rng, n: rng.standard_t(1.5, size=n), lambda limit: stats.t.sf(limit, 1.5)),
    "ties": (
        lambda rng, n: rng.poisson(2, size=n).astype(float),
        lambda limit: stats.poisson.sf(math.ceil(limit) - 1, 2),
    ),
    "all equal": (lambda _, n: np.full(n, 0.25), lambda limit: float(limit <= 0.25)),
    "two kinds": (
        lambda rng, n: np.where(rng.random(n) < 0.03, rng.normal(8, 2, n), rng.normal(0, 1, n)),
        lambda limit: 0.03 * stats.norm.sf(limit, 8, 2) + 0.97 * stats.norm.sf(limit),
    ),
}  # fmt: skip
SPLITS = 1000


def most_broken(confidence: float) -> int:
    """Of SPLITS: more than chance would do in one of 100,000 such tests."""
    return int(stats.binom.ppf(1 - 1e-5, SPLITS, 1 - confidence))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize(("parts", "rate"), [(60, 0.05), (320, 0.01)])
def test_the_promise_is_broken_no_more_often_than_it_says(name: str, parts: int, rate: float) -> None:
    draw, share = DISTRIBUTIONS[name]
    rng = np.random.default_rng(7)
    found = [limit_for(draw(rng, parts), rate, 0.95) for _ in range(SPLITS)]
    assert all(promise.rate <= rate for _, promise in found)
    broken = sum(share(limit) > promise.rate for limit, promise in found)
    assert broken <= most_broken(0.95)
    if name in {"normal", "heavy tail", "two kinds"}:  # without ties it is exact
        assert broken >= int(stats.binom.ppf(1e-5, SPLITS, 0.05))


def test_frames_that_are_counted_as_parts_break_the_promise_and_one_number_a_part_keeps_it() -> None:
    """60 parts, 5 frames of each that differ by little: 300 frames seem to be enough for 1 %."""
    rng = np.random.default_rng(7)
    parts, frames, within = 60, 5, 0.1

    def drawn(count: int) -> Scores:
        return rng.normal(size=(count, 1)) + within * rng.normal(size=(count, frames))

    everyone = np.sort(drawn(200_000).max(axis=1))

    def share(limit: float) -> float:
        return 1 - np.searchsorted(everyone, limit) / len(everyone)

    samples = [drawn(parts) for _ in range(SPLITS)]
    as_parts = sum(share(limit) > p.rate for limit, p in (limit_for(s.ravel(), 0.01, 0.95) for s in samples))
    by_maximum = sum(share(limit) > p.rate for limit, p in (limit_for(s.max(axis=1), 0.05, 0.95) for s in samples))
    assert by_maximum <= most_broken(0.95)
    assert as_parts > 5 * most_broken(0.95)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=40), rates, confidences)
def test_any_finite_scores_give_limits_that_the_largest_of_them_reaches_or_not_as_its_rank_says(
    scores: list[float], rate: float, confidence: float
) -> None:
    limits = limits_from_scores(scores, rate, max(rate, 0.05), confidence, anyway=True)
    promise = limits.reject_promise
    assert promise is not None
    assert limits.review <= limits.reject
    assert sum(score >= limits.reject for score in scores) <= promise.rank - 1
    assert promise.rate == pytest.approx(stats.beta.ppf(confidence, promise.rank, len(scores) - promise.rank + 1))


def test_too_few_parts_are_refused_with_what_could_be_promised_and_what_is_needed() -> None:
    with pytest.raises(RecipeError) as caught:
        limits_from_scores(np.linspace(0, 1, 40))
    words = "with 40 good parts the best that can be promised is 7.2 % (95 %); 299 are needed for 1 %: "
    words += "give more, ask for less (--false-reject-rate, --uncertain), or take the largest score (--anyway)"
    assert str(caught.value) == words


def test_a_false_reject_rate_over_5_percent_is_that_of_uncertain_parts_too() -> None:
    limits = limits_from_scores(np.linspace(0, 1, 40), 0.2)
    assert limits == limits_from_scores(np.linspace(0, 1, 40), 0.2, 0.2)
    assert limits.review == limits.reject
    assert limits_from_scores(np.linspace(0, 1, 300)) == limits_from_scores(np.linspace(0, 1, 300), 0.01, 0.05)


@pytest.mark.parametrize(
    ("scores", "given", "words"),
    [
        ([], {}, "scores: there are none"),
        ([], {"anyway": True}, "scores: there are none"),
        ([0.5], {}, "with 1 good parts the best that can be promised is 95 % (95 %); 299 are needed for 1 %"),
        ([0.5, 0.6], {}, "with 2 good parts the best that can be promised is 78 % (95 %)"),
        ([0.1, math.nan], {"anyway": True}, "scores: number 1 is nan"),
        ([math.inf, 0.1], {"anyway": True}, "scores: number 0 is inf"),
        ([[0.1, 0.2]], {"anyway": True}, "one number a part, found an array of shape (1, 2)"),
        (["high"], {"anyway": True}, "expected finite numbers, one a part"),
        ([1.7976931348623157e308], {"anyway": True}, "leaves no room"),
        ([0.1], {"false_reject_rate": 0}, "false reject rate: expected more than 0 and less than 1"),
        ([0.1], {"false_reject_rate": 1}, "false reject rate: expected more than 0 and less than 1"),
        ([0.1], {"uncertain": math.nan}, "uncertain: expected more than 0 and less than 1 (100 %), found nan"),
        ([0.1], {"confidence": 1.0}, "confidence: expected more than 0 and less than 1"),
        ([0.1], {"confidence": "95%"}, "confidence: expected more than 0 and less than 1 (100 %), found '95%'"),
        ([0.1], {"uncertain": 0.001}, "uncertain 0.1 % is below the false reject rate 1 %"),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(scores: list[float], given: dict[str, float], words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        clipspect.limits_from_scores(scores, **given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scores", [[0.5], [0.5, 0.5], [0.3] * 400])
def test_equal_scores_pass_at_the_limit_that_they_make(scores: list[float]) -> None:
    limits = limits_from_scores(scores, anyway=True)
    assert limits.review == limits.reject == math.nextafter(scores[0], 1)


def test_answered_parts_raise_limits_and_the_promise_holds_however_they_were_chosen() -> None:
    """Counted as parts, those that passed would lower the limit: 300 of them break a promise of 30 in most trials."""
    rng, splits, rate = np.random.default_rng(0), 300, 0.1
    broken = {"answered": 0, "counted": 0}
    for _ in range(splits):
        scores = rng.normal(size=400)
        parts = [PartScore(str(number), score, score) for number, score in enumerate(scores[:30].tolist())]
        passing = [PartScore(f"p{number}", score, score) for number, score in enumerate(np.sort(scores[30:])[:300])]
        for way, limits in (
            ("answered", limits_of_parts(parts, rate, rate, 0.95, answered=passing)),
            ("counted", limits_of_parts([*parts, *passing], rate, rate, 0.95)),
        ):
            broken[way] += stats.norm.sf(limits.reject) > rate
            assert limits.reject_promise is not None
            assert limits.reject_promise.parts == (30 if way == "answered" else 330)
        alone = limits_of_parts(parts, rate, rate, 0.95)
        higher = PartScore("h", 9.0, 9.0)
        raised = limits_of_parts(parts, rate, rate, 0.95, answered=[higher])
        assert raised.reject == math.nextafter(9.0, math.inf)  # of 30 parts the largest score is the limit
        assert (raised.map, raised.reject_promise) == (raised.reject, alone.reject_promise)
    assert broken["answered"] <= stats.binom.ppf(1 - 1e-5, splits, 0.05)
    assert broken["counted"] > splits / 2
