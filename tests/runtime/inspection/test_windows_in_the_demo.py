"""Windows on demand through the inspector, over the embedded bundle's own graph."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import clipspect
from clipspect.base.errors import BackendError
from clipspect.frame.region_of_interest import Area, RegionOfInterest
from clipspect.recipes.on_demand import Cascade, OnDemand, Reuse
from clipspect.recipes.recipe import Recipe

SIZE = (320, 260)
REGION = RegionOfInterest(SIZE, Area(polygons=(((40, 30), (150, 40), (130, 120), (30, 110)),)))


def frame(seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    drawn = np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    drawn[60:90, 60:200] = 90
    return drawn


@pytest.fixture(scope="module")
def region() -> Recipe:
    with clipspect.load("demo", backend="onnxruntime") as inspector:
        return dataclasses.replace(inspector.recipe, region_of_interest=REGION)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_region_has_the_map_and_the_score_of_all_windows(region: Recipe, backend: str) -> None:
    pytest.importorskip(backend)
    with (
        clipspect.load("demo", region, backend, verdicts=False) as on_demand,
        clipspect.load("demo", region, backend, verdicts=False, windows=False) as whole,
    ):
        assert list(on_demand._engine._backends) == ["windows.onnx"]
        assert list(whole._engine._backends) == ["model.onnx"]
        found, expected = on_demand.inspect(frame()), whole.inspect(frame())
    judged = REGION.mask(*SIZE)
    np.testing.assert_allclose(found.anomaly_map[judged], expected.anomaly_map[judged], atol=1e-6)
    assert found.score == pytest.approx(expected.score, abs=1e-6)


def test_a_region_takes_less_work(region: Recipe) -> None:
    with clipspect.load("demo", region, "onnxruntime", verdicts=False, extras=("work",)) as inspector:
        (answer,) = inspector.answer([inspector.prepare(frame())])
    assert not isinstance(answer, Exception)
    assert 0.2 < answer.extras["work"][0] < 0.6


def test_a_recipe_with_a_region_takes_the_one_graph_for_those_without(region: Recipe) -> None:
    with clipspect.load("demo", backend="onnxruntime", verdicts=False) as inspector:
        before = inspector.inspect(frame())
        with inspector.with_recipe(region):
            assert list(inspector._engine._backends) == ["windows.onnx"]
            after = inspector.inspect(frame())
    assert after.score == pytest.approx(before.score, abs=1e-6)
    np.testing.assert_allclose(after.model_map, before.model_map, atol=1e-6)


def test_an_engine_with_the_graph_open_refuses_a_later_plan_as_it_refuses_the_first(region: Recipe) -> None:
    gaps = dataclasses.replace(region, windows=OnDemand(cascade=Cascade(0.5, stride=7)))
    tiles = clipspect.Tiling(size=(160, 130))
    kept = dataclasses.replace(region, tiling=tiles, windows=OnDemand(reuse=Reuse()))
    with clipspect.load("demo", region, "onnxruntime", verdicts=False) as inspector:
        with pytest.raises(BackendError, match="stride of at most the smallest scale"):
            inspector.use_recipe(gaps)
        with pytest.raises(BackendError, match="leave one of the two out"):
            inspector.with_recipe(kept)
        assert inspector.recipe is region
