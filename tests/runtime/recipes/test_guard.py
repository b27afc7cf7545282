"""Limits belong to what scored them: with another engine or precision they are widened by a band, or refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clipspect
from clipspect.base.errors import BackendError, RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.precision import ALLOWANCE, allowed_difference
from clipspect.bundle.precision_record import PrecisionRecord
from clipspect.engines.graph import WORDS
from clipspect.inspection.result import decide
from clipspect.recipes.calibration import Calibration, PartScore, Scorer
from clipspect.recipes.guard import guard_words, limits_in_use
from clipspect.recipes.limits import Limits, Promise
from clipspect.recipes.recipe import Recipe
from support import handmade

CPU = ("onnxruntime", "cpu", "fp32")
PROMISE = Promise(0.01, 0.95, 299, 1, 0.01)
LIMITS = Limits(0.4, 0.6, 0.5, PROMISE, PROMISE, PROMISE)


def calibrated(opened: Bundle, engine: tuple[str, str, str] = CPU, **changes: Any) -> Recipe:
    recipe = handmade.make_recipe("nut", limits=LIMITS)
    scorer = Scorer(opened.digest, recipe.tensors_digest, *engine, "0")
    parts = (PartScore("1.png", 0.6, 0.5),)
    calibration = Calibration("2026-11-27T12:00:00+00:00", dataclasses.replace(scorer, **changes), parts)
    return dataclasses.replace(recipe, calibration=calibration)


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    """With records of two precisions: one passed, one did not."""
    records = (
        PrecisionRecord("bf16", "openvino", passed=True, tolerance=0.05, score=1e-3, anomaly_map=1e-3),
        PrecisionRecord("int8", "openvino", passed=False, forced=True, tolerance=0.05, score=0.2, anomaly_map=0.2),
    )
    return Bundle.open(handmade.rewritten(tiny_bundle, precisions=records))


def in_use(bundle: Bundle, recipe: Recipe, *engine: str) -> Limits | None:
    return limits_in_use(recipe, bundle, bundle.manifest.graphs[WORDS], *engine)


def test_the_engine_that_calibrated_uses_the_limits_as_they_are(bundle: Bundle) -> None:
    assert in_use(bundle, calibrated(bundle), *CPU) == LIMITS


@pytest.mark.parametrize("engine", [("openvino", "cpu", "fp32"), ("onnxruntime", "cuda", "fp32")])
def test_another_engine_of_the_bundles_precision_widens_them_by_what_verify_allows_both(
    bundle: Bundle, engine: tuple[str, str, str]
) -> None:
    band = 2 * ALLOWANCE * bundle.manifest.graphs[WORDS].parity.tolerance
    recipe = calibrated(bundle)
    found = in_use(bundle, recipe, *engine)
    assert found == Limits(0.4 - band, 0.6 + band, 0.5 + band, None, PROMISE, PROMISE)
    assert "limits of onnxruntime on cpu in fp32, widened by 0.0002" in guard_words(recipe, found)


def test_another_precision_widens_them_by_its_records_tolerance(bundle: Bundle) -> None:
    band = 0.05 + ALLOWANCE * bundle.manifest.graphs[WORDS].parity.tolerance
    here, there = ("openvino", "cpu", "bf16"), CPU
    for first, second in ((here, there), (there, here)):
        found = in_use(bundle, calibrated(bundle, first), *second)
        assert found is not None
        assert (found.review, found.reject, found.map) == pytest.approx((0.4 - band, 0.6 + band, 0.5 + band))


def test_a_records_tolerance_is_told_in_the_graphs_scale(bundle: Bundle) -> None:
    graph = bundle.manifest.graphs[WORDS]
    scaled = dataclasses.replace(graph, parity=dataclasses.replace(graph.parity, scale=3.0))
    assert allowed_difference(bundle, scaled, "openvino", "cpu", "bf16") == pytest.approx(3 * 0.05)
    assert allowed_difference(bundle, scaled, *CPU) == ALLOWANCE * graph.parity.tolerance


def test_a_bundle_in_fp16_allows_what_its_export_did(bundle: Bundle) -> None:
    graph = bundle.manifest.graphs[WORDS]
    half = Bundle.open(handmade.rewritten(bundle.path, precision="fp16"))
    assert allowed_difference(half, graph, "tensorrt", "gpu", "fp16") == graph.parity.tolerance


@pytest.mark.parametrize(
    "engine",
    [
        ("openvino", "cpu", "int8"),
        ("onnxruntime", "cpu", "int8"),
        ("onnxruntime", "cpu", "bf16"),
        ("tensorrt", "gpu", "tf32"),
    ],
)
def test_a_precision_without_a_record_that_it_passed_is_refused_on_either_side(
    bundle: Bundle, engine: tuple[str, str, str]
) -> None:
    for first, second in ((engine, CPU), (CPU, engine)):
        with pytest.raises(RecipeError) as caught:
            in_use(bundle, calibrated(bundle, first), *second)
        assert "no record" in str(caught.value)
        measure = f"or measure it: clipspect verify --backend {engine[0]} --precision {engine[2]} --record"
        assert (measure in str(caught.value)) == (engine[2] != "tf32")
    assert in_use(bundle, calibrated(bundle, engine), *engine) == LIMITS


def test_another_bundle_or_other_tensors_are_refused_whatever_scores(bundle: Bundle) -> None:
    with pytest.raises(RecipeError, match="calibrated with another bundle than this: calibrate it again"):
        in_use(bundle, calibrated(bundle, bundle="0" * 64), *CPU)
    with pytest.raises(RecipeError, match="calibrated with another references or words than this"):
        in_use(bundle, calibrated(bundle, tensors="0" * 64), *CPU)


def test_limits_that_were_given_by_hand_are_used_as_they_are(bundle: Bundle) -> None:
    by_hand = handmade.make_recipe("nut", limits=Limits(0.4, 0.6))
    assert in_use(bundle, by_hand, "tensorrt", "gpu", "tf32") == by_hand.limits
    assert guard_words(by_hand, by_hand.limits) == ""
    recipe = calibrated(bundle)
    assert recipe.calibration is not None
    by_hand = dataclasses.replace(recipe, calibration=dataclasses.replace(recipe.calibration, by_hand=True))
    assert in_use(bundle, by_hand, "tensorrt", "gpu", "tf32") == LIMITS
    assert in_use(bundle, handmade.make_recipe("nut"), *CPU) is None


@given(st.floats(0, 1), st.floats(-1, 1), st.floats(0, 0.3))
def test_within_the_band_nothing_passes_that_did_not_and_nothing_fails_that_did_not(
    score: float, share: float, band: float
) -> None:
    there = Limits(0.4, 0.6)
    here = Limits(there.review - band, there.reject + band)
    verdicts = decide(score, there), decide(score + 0.999 * share * band, here)
    assert verdicts[1] in {verdicts[0], "uncertain"}


def test_without_a_backend_the_engine_that_calibrated_is_taken_if_it_is_here(bundle: Bundle) -> None:
    for name in ("onnxruntime", "openvino"):
        recipe = calibrated(bundle, (name, "cpu", "fp32"))
        with clipspect.load(bundle.path, recipe) as inspector:
            assert (inspector.backend, inspector.limits, inspector.reason) == (name, LIMITS, "")
    with clipspect.load(bundle.path, calibrated(bundle, ("tpu engine", "cpu", "fp32"))) as inspector:
        assert inspector.reason, "the fastest, by timing those that are here"
        assert inspector.limits is not None
        assert inspector.limits.reject > LIMITS.reject


def test_load_with_recipe_and_use_recipe_judge_by_the_guard_and_the_record_says_by_what(bundle: Bundle) -> None:
    widened = calibrated(bundle, ("openvino", "cpu", "bf16"))
    refused = calibrated(bundle, ("openvino", "cpu", "int8"))
    frame = handmade.grey(110)  # a score of 0.43: uncertain at the recipe's limits and at the wider ones
    with clipspect.load(bundle.path, widened, "onnxruntime") as inspector:
        result = inspector.inspect(frame)
        assert result.limits == inspector.limits != widened.limits
        assert inspector.limits is not None
        assert result.map_limit == inspector.map_limit == inspector.limits.map
        for switch in (inspector.use_recipe, inspector.with_recipe):
            with pytest.raises(RecipeError, match="there is no record of what openvino on cpu in int8 costs"):
                switch(refused)
        assert inspector.recipe is widened
        with inspector.with_recipe(calibrated(bundle)) as second:
            assert second.limits == LIMITS
            assert (second.map_limit, second.inspect(frame).verdict) == (0.5, "uncertain")
    with pytest.raises(RecipeError, match="no record"):
        clipspect.load(bundle.path, refused, "onnxruntime")
    with clipspect.load(bundle.path, refused, "onnxruntime", verdicts=False) as inspector:
        assert (inspector.limits, inspector.inspect(frame).verdict) == (None, None)
    with clipspect.load(bundle.path, widened, "onnxruntime", map_limit=0.25) as inspector:
        assert inspector.map_limit == 0.25


def test_where_the_engine_that_calibrated_does_not_open_the_fastest_is_taken_and_says_why(bundle: Bundle) -> None:
    for engine in (("onnxruntime", "cuda", "fp32"), ("openvino", "gpu", "fp32")):
        with clipspect.load(bundle.path, calibrated(bundle, engine)) as inspector:
            assert inspector.device == "cpu"
            assert inspector.reason.startswith(
                f"the limits are of {engine[0]} on {engine[1]}, which does not open here ("
            )
            assert inspector.limits is not None
            assert inspector.limits.reject > LIMITS.reject
        with pytest.raises(BackendError):
            clipspect.load(bundle.path, calibrated(bundle), engine[0], device=engine[1])
