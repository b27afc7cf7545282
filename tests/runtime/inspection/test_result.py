"""Verdicts, and the map that is made when it is read."""

from __future__ import annotations

import numpy as np
import pytest

from clipspect.base.errors import RecipeError
from clipspect.inspection.maps import to_source_size
from clipspect.inspection.regions import regions_in_source
from clipspect.inspection.result import Result, Timings, decide
from clipspect.recipes.limits import Limits
from support import handmade


def result_of(model_map: np.ndarray, width: int, height: int, limit: float = 0.5) -> Result:  # type: ignore[type-arg]
    regions = regions_in_source(model_map, width, height, limit)
    recipe, timings = handmade.make_recipe(), Timings(1, 2, 3, 4)
    return Result(None, 0.5, model_map, (width, height), recipe, None, regions, limit, timings, handmade.QUALITY)


def test_a_score_is_judged_by_the_recipes_two_limits() -> None:
    limits = Limits(review=0.4, reject=0.6)
    scores = (0.0, 0.39, 0.4, 0.59, 0.6, 1.0)
    assert [decide(score, limits) for score in scores] == ["pass", "pass", "uncertain", "uncertain", "fail", "fail"]


def test_without_limits_there_is_no_verdict() -> None:
    assert decide(1.0, None) is None


def test_limits_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"review 0.6 is above reject 0.4"):
        Limits(review=0.6, reject=0.4)


def test_the_map_is_in_the_sources_size_and_made_once() -> None:
    model_map = np.random.default_rng(0).random((15, 15), dtype=np.float32)
    result = result_of(model_map, 64, 48)
    assert result.anomaly_map.shape == (48, 64)
    np.testing.assert_array_equal(result.anomaly_map, to_source_size(model_map, 64, 48))
    assert result.anomaly_map is result.anomaly_map
    assert result.model_map is model_map


@pytest.mark.parametrize("limit", [-1.0, 0.5, 0.99, 2.0])
def test_the_peak_is_the_largest_value_of_the_map(limit: float) -> None:
    result = result_of(np.random.default_rng(1).random((9, 7), dtype=np.float32), 40, 30, limit)
    assert result.peak == float(result.anomaly_map.max())


def test_the_total_is_the_sum_of_the_stages() -> None:
    assert Timings(1, 2, 3, 4).total == 10
