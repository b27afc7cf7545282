"""Figures of advice, against scikit-learn and by drawing many data sets."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from clipspect_lab.advice.figures import (
    accuracy_of,
    auroc_apart,
    auroc_interval,
    steadiness_of,
    worst_apart,
)


@pytest.mark.parametrize("seed", range(5))
def test_the_auroc_is_scikit_learns_ties_included(seed: int) -> None:
    rng = np.random.default_rng(seed)
    good, bad = rng.integers(0, 6, 12).astype(float), rng.integers(2, 9, 7).astype(float)
    found = accuracy_of(good, bad, 0.01)
    assert found.auroc == pytest.approx(roc_auc_score([0] * 12 + [1] * 7, [*good, *bad]), abs=1e-12)
    assert 0 <= found.low <= found.auroc <= found.high <= 1


@pytest.mark.parametrize(("good", "bad"), [(15, 8), (30, 30), (8, 4)])
@pytest.mark.parametrize("auroc", [0.7, 0.9, 0.98])
def test_the_interval_holds_the_true_auroc_about_as_often_as_it_says(good: int, bad: int, auroc: float) -> None:
    rng = np.random.default_rng(0)
    apart = np.sqrt(2) * NormalDist().inv_cdf(auroc)  # of two normal distributions with this AUROC
    drawn, held = 2000, 0
    for _ in range(drawn):
        found = (rng.normal(size=(good, 1)) < rng.normal(apart, 1, bad)).mean()
        low, high = auroc_interval(float(found), bad, good)
        held += low <= auroc <= high
    assert 0.925 <= held / drawn <= 0.995


def test_where_all_defects_outscore_all_good_parts_the_interval_is_no_point() -> None:
    low, high = auroc_interval(1.0, 5, 10)
    assert 0.6 < low < 0.85
    assert high == 1
    assert auroc_interval(0.0, 5, 10) == pytest.approx((0, 1 - low))
    assert auroc_interval(1.0, 50, 100)[0] > 0.97


def test_caught_are_those_that_fail_at_the_limit_above_all_good_parts_with_their_bound() -> None:
    found = accuracy_of(np.arange(10.0), np.array([3, 9, 9.5, 10, 11]), 0.01).caught
    assert (found.count, found.parts) == (3, 5)
    assert found.at_least == pytest.approx(0.1893, abs=1e-4)  # Clopper and Pearson's, one-sided


def test_at_a_higher_rate_more_is_caught() -> None:
    good, bad = np.arange(100.0), np.full(4, 97.0)
    assert accuracy_of(good, bad, 0.01).caught.count == 0
    assert accuracy_of(good, bad, 0.1).caught.count == 4


def test_two_that_differ_by_much_are_told_apart_and_by_little_are_not() -> None:
    rng = np.random.default_rng(0)
    good, bad = rng.normal(size=30), rng.normal(3, 1, 20)
    chance = rng.normal(size=30), rng.normal(size=20)
    nearly = good + rng.normal(0, 0.1, 30), bad + rng.normal(0, 0.1, 20)
    assert auroc_apart((good, bad), chance, 0)
    assert not auroc_apart((good, bad), nearly, 0)
    assert not auroc_apart((good, bad), (good, bad), 0)


def test_a_paired_difference_tells_what_two_intervals_would_not() -> None:
    rng = np.random.default_rng(1)
    good, bad = rng.normal(size=60), rng.normal(1.5, 1, 60)
    worse = bad - 0.4  # each defect scores a little lower, all else the same
    one, other = accuracy_of(good, bad, 0.01), accuracy_of(good, worse, 0.01)
    assert one.low < other.high
    assert auroc_apart((good, bad), (good, worse), 0)


def test_the_worst_part_is_measured_in_the_spread_of_the_others_whatever_the_unit() -> None:
    rng = np.random.default_rng(0)
    scores = np.append(rng.normal(5, 2, 4000), 25.0)
    found = steadiness_of(scores)
    assert found.median == pytest.approx(5, abs=0.1)
    assert found.spread == pytest.approx(2, abs=0.1)
    assert found.worst == pytest.approx(10, abs=0.4)
    assert steadiness_of(scores * 1e-3 + 7).worst == pytest.approx(found.worst)


def test_good_parts_that_all_score_the_same_lie_nowhere() -> None:
    assert steadiness_of(np.ones(6)).worst == 0
    assert steadiness_of(np.array([1, 1, 1, 1, 2.0])).worst == np.inf
    assert not worst_apart(np.ones(6), np.ones(6), 0)


def test_a_far_outlier_is_told_from_steady_scores_only_by_many_parts_that_show_it() -> None:
    steady = np.random.default_rng(0).normal(size=40)
    wild = steady.copy()
    wild[:4] += 50
    assert worst_apart(steady, wild, 0)
    assert not worst_apart(steady, steady + 1e-6, 0)
