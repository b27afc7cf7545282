"""Repeatability: chi-square is SciPy's, the analysis of variance NumPy's, and a drawn sigma lies in its interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chi2, f_oneway

from clipspect import DatasetError
from clipspect_lab.studies.chi_square import chi_square, chi_square_quantile
from clipspect_lab.studies.repeatability import repeatability_of

BETWEEN, WITHIN = 0.08, 0.01


def drawn(rng: np.random.Generator, parts: int, photographs: int) -> list[list[float]]:
    """Scores of parts with known sigmas."""
    scores = rng.normal(0.4, BETWEEN, (parts, 1)) + rng.normal(0, WITHIN, (parts, photographs))
    found: list[list[float]] = scores.tolist()
    return found


@given(st.integers(1, 3000), st.floats(0.001, 0.999))
def test_chi_square_is_scipys(degrees: int, probability: float) -> None:
    value = chi_square_quantile(probability, degrees)
    assert value == pytest.approx(chi2.ppf(probability, degrees), rel=1e-9)
    assert chi_square(value, degrees) == pytest.approx(probability, abs=1e-10)


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=4), min_size=2, max_size=8).filter(
        lambda p: max(map(len, p)) > 1
    )
)
def test_sigma_is_the_pooled_deviation_and_never_below_zero_between_parts(scores: list[list[float]]) -> None:
    found = repeatability_of(scores)
    squares = sum(((np.array(part) - np.mean(part)) ** 2).sum() for part in scores)
    assert found.sigma == pytest.approx(np.sqrt(squares / (sum(map(len, scores)) - len(scores))), abs=1e-12)
    assert found.interval[0] <= found.sigma <= found.interval[1]
    assert found.between_sigma >= 0
    assert found.share is None or 0 <= found.share <= 1


def test_the_variances_are_those_of_a_one_way_analysis() -> None:
    scores = drawn(np.random.default_rng(0), 12, 3)
    found = repeatability_of(scores)
    mean_square_within = np.var(scores, axis=1, ddof=1).mean()
    mean_square_between = f_oneway(*scores).statistic * mean_square_within
    assert found.sigma**2 == pytest.approx(mean_square_within)
    assert found.between_sigma**2 == pytest.approx((mean_square_between - mean_square_within) / 3)
    assert found.distinct_categories == int(2**0.5 * found.between_sigma / found.sigma)
    assert found.variance_share == pytest.approx(found.sigma**2 / (found.sigma**2 + found.between_sigma**2))


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_holds_the_true_sigma_as_often_as_it_says(confidence: float) -> None:
    rng, studies = np.random.default_rng(1), 400
    found = [repeatability_of(drawn(rng, 10, 3), confidence) for _ in range(studies)]
    held = sum(one.interval[0] <= WITHIN <= one.interval[1] for one in found)
    low, high = binom.ppf([1e-4, 1 - 1e-4], studies, confidence)
    assert low <= held <= high
    assert np.mean([one.sigma**2 for one in found]) == pytest.approx(WITHIN**2, rel=0.05)
    assert np.mean([one.between_sigma**2 for one in found]) == pytest.approx(BETWEEN**2, rel=0.1)


def test_parts_that_do_not_differ_cannot_be_told_apart() -> None:
    found = repeatability_of([[0.1, 0.3], [0.3, 0.1], [0.2, 0.2]])
    assert found.between_sigma == 0
    assert (found.share, found.distinct_categories) == (1, 1)


def test_equal_scores_have_no_sigma() -> None:
    found = repeatability_of([[0.1, 0.1], [0.1, 0.1]])
    assert (found.sigma, found.interval, found.share, found.distinct_categories) == (0, (0, 0), None, None)


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ([], "several parts, found 0"),
        ([[0.1, 0.2]], "several parts, found 1"),
        ([[0.1], [0.2]], "2 parts, one photograph each: repeatability needs repeats"),
        ([[0.1, 0.2], []], "several parts with valid photographs, found 1"),
    ],
)
def test_too_few_are_refused(scores: list[list[float]], reason: str) -> None:
    with pytest.raises(DatasetError, match=reason):
        repeatability_of(scores)
