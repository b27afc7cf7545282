"""Ranks: p-values as their definition says, uniform and independent whatever the values are distributed as."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clipspect.line.drift_ranks import Ranks, tie_of

VALUES = st.integers(-4000, 4000).map(lambda value: value / 8)  # none is rounded, and many are equal


@given(st.lists(VALUES, min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_a_p_value_is_the_share_above_and_the_tie_of_those_that_are_equal(values: list[float], tie: float) -> None:
    ranks = Ranks()
    for number, value in enumerate(values, 1):
        seen = np.array(values[:number])
        expected = ((seen > value).sum() + tie * (seen == value).sum()) / number
        assert ranks.p_value(value, tie) == pytest.approx(expected, abs=1e-12)


@given(st.lists(VALUES, max_size=60), VALUES)
def test_values_before_count_as_if_they_had_been_taken(before: list[float], value: float) -> None:
    taken = Ranks()
    for other in before:
        taken.p_value(other, 0.5)
    assert Ranks(before).p_value(value, 0.25) == taken.p_value(value, 0.25)


@given(st.lists(VALUES, max_size=60), VALUES)
def test_restored_ranks_go_on_as_if_they_had_not_been_stored(before: list[float], value: float) -> None:
    ranks = Ranks(before)
    assert Ranks.restored(ranks.state()).p_value(value, 0.25) == ranks.p_value(value, 0.25)


@pytest.mark.parametrize("name", ["normal", "heavy tails", "few values", "one value", "two groups"])
def test_p_values_of_exchangeable_values_are_uniform_and_independent(name: str) -> None:
    rng = np.random.default_rng(20261127)
    values = {
        "normal": rng.normal(0.1, 0.01, 8000),
        "heavy tails": rng.standard_cauchy(8000),
        "few values": rng.binomial(3, 0.2, 8000),
        "one value": np.full(8000, 0.125),
        "two groups": np.where(rng.random(8000) < 0.3, rng.normal(1, 0.1, 8000), rng.normal(3, 0.1, 8000)),
    }[name]
    ranks = Ranks()
    p = np.array([ranks.p_value(value, tie_of(f"{number:032x}", name)) for number, value in enumerate(values.tolist())])
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert abs(stats.pearsonr(p[1:], p[:-1]).statistic) < 4 / np.sqrt(len(p))


def test_memory_does_not_grow_with_the_number_of_values() -> None:
    ranks = Ranks(np.random.default_rng(0).uniform(1, 2, 60_000).tolist())
    assert len(ranks.state()) <= (1 << 14) + 1


def test_values_that_differ_by_a_thousandth_of_themselves_are_told_apart() -> None:
    ranks = Ranks(np.geomspace(1e-9, 1e9, 4000).tolist())
    assert len(ranks.state()) == 4000


@pytest.mark.parametrize("value", [1e300, -1e300, 0.0, -0.0, 1e-300])
def test_the_largest_and_smallest_numbers_have_p_values_between_0_and_1(value: float) -> None:
    ranks = Ranks([-1.0, 1.0])
    assert 0 < ranks.p_value(value, 0.5) < 1
    assert np.isfinite(ranks.normal_score(value, 1e-20))


def test_a_tie_is_the_same_for_the_same_record_and_differs_between_quantities() -> None:
    assert tie_of("a" * 32, "score") == tie_of("a" * 32, "score")
    assert len({tie_of(id, quantity) for id in ("a" * 32, "b" * 32) for quantity in ("score", "brightness")}) == 4
