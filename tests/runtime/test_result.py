"""Verdicts and map sizes."""

from __future__ import annotations

import numpy as np
import pytest
from clipspect.errors import RecipeError
from clipspect.recipe import Limits
from clipspect.result import decide, to_source_size
from hypothesis import given
from hypothesis import strategies as st


def test_a_score_is_judged_by_the_recipes_two_limits() -> None:
    limits = Limits(review=0.4, reject=0.6)
    scores = (0.0, 0.39, 0.4, 0.59, 0.6, 1.0)
    assert [decide(score, limits) for score in scores] == ["pass", "pass", "uncertain", "uncertain", "fail", "fail"]


def test_without_limits_there_is_no_verdict() -> None:
    assert decide(1.0, None) is None


def test_limits_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"review 0.6 is above reject 0.4"):
        Limits(review=0.6, reject=0.4)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_map_in_the_sources_size_stays_in_its_range(width: int, height: int, seed: int) -> None:
    anomaly_map = np.random.default_rng(seed).random((15, 15), dtype=np.float32)
    resized = to_source_size(anomaly_map, width, height)
    assert resized.shape == (height, width)
    assert resized.dtype == np.float32
    assert anomaly_map.min() <= resized.min() <= resized.max() <= anomaly_map.max()


def test_a_map_of_the_sources_size_is_not_touched() -> None:
    anomaly_map = np.random.default_rng(0).random((7, 9), dtype=np.float32)
    np.testing.assert_array_equal(to_source_size(anomaly_map, 9, 7), anomaly_map)
