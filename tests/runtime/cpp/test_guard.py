"""Limits belong to what scored them: the C++ header widens or refuses them as the Python runtime does."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import msgspec
import pytest

from clipspect.base.errors import RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import RECIPES
from clipspect.bundle.precision_record import PrecisionRecord
from clipspect.recipes.calibration import Calibration, PartScore, Scorer
from clipspect.recipes.guard import guard_words, limits_in_use
from clipspect.recipes.limits import Limits, Promise
from clipspect.recipes.recipe import Recipe, write_recipe
from clipspect.recipes.shelf import open_recipe, serving
from support import handmade
from support.cpp_programs import call

ENGINES = [
    ("onnxruntime", "cpu", "fp32"),
    ("openvino", "cpu", "fp32"),
    ("openvino", "gpu", "fp32"),
    ("openvino", "cpu", "bf16"),
    ("openvino", "cpu", "int8"),
    ("openvino", "cpu", "fp16"),
    ("onnxruntime", "cpu", "int8"),
    ("tensorrt", "gpu", "tf32"),
]
RECORDS = (
    PrecisionRecord("bf16", "openvino", passed=True, tolerance=0.05, score=1e-3, anomaly_map=1e-3),
    PrecisionRecord("int8", "openvino", passed=False, forced=True, tolerance=0.05, score=0.2, anomaly_map=0.2),
    PrecisionRecord("fp16", "openvino", passed=None, detail="no GPU"),
)
LIMITS = Limits(0.4, 0.6, 0.5, Promise(0.05, 0.95, 312, 9, 0.05), Promise(0.0096, 0.95, 312, 1, 0.01), None)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    root = handmade.write_bundle(tmp_path / "tiny.bundle")
    return Bundle.open(handmade.rewritten(root, precisions=RECORDS))


def calibrate(bundle: Bundle, recipe: Recipe, engine: tuple[str, str, str], *, false: str = "") -> Recipe:
    """The bundle's recipe with limits that an engine calibrated, one of whose claims can be false."""
    scorer = Scorer(bundle.digest, recipe.tensors_digest, *engine, "0")
    scorer = dataclasses.replace(scorer, **{false: "0" * 64} if false else {})
    calibration = Calibration("2026-11-27T12:00:00+00:00", scorer, (PartScore("1.png", 0.6, 0.5),))
    calibrated = dataclasses.replace(recipe, calibration=calibration)
    write_recipe(bundle.path / RECIPES / "object.safetensors", calibrated)
    return calibrated


def expected(bundle: Bundle, recipe: Recipe, engine: tuple[str, str, str]) -> dict[str, object]:
    try:
        limits = limits_in_use(recipe, bundle, serving(bundle, recipe), *engine)
    except RecipeError as error:
        return {"refused": str(error).partition("calibrate again with")[0]}
    return {"limits": msgspec.to_builtins(limits), "said": guard_words(recipe, limits)}


def found(built: Path, bundle: Bundle, *engines: tuple[str, str, str]) -> list[dict[str, object]]:
    out = call(built / "guard", bundle.path, *itertools.chain(*engines))[0]
    answers = [json.loads(line) for line in out.splitlines()]
    return [
        {
            name: said.partition("calibrate again with")[0] if name == "refused" else said
            for name, said in answer.items()
        }
        for answer in answers
    ]


@pytest.mark.parametrize("limits", [LIMITS, dataclasses.replace(LIMITS, map=None)], ids=["map", "no map"])
@pytest.mark.parametrize("there", ENGINES, ids=" ".join)
def test_each_engine_judges_by_the_limits_of_each_other_as_in_python(
    built: Path, bundle: Bundle, there: tuple[str, str, str], limits: Limits
) -> None:
    recipe = calibrate(bundle, handmade.make_recipe(limits=limits), there)
    answers = found(built, bundle, *ENGINES)
    assert answers == [expected(bundle, recipe, here) for here in ENGINES]
    assert answers[ENGINES.index(there)] == {"limits": msgspec.to_builtins(limits), "said": ""}


@pytest.mark.parametrize(("claim", "what"), [("bundle", "bundle"), ("tensors", "references or words")])
def test_limits_of_another_bundle_or_other_tensors_are_refused(
    built: Path, bundle: Bundle, claim: str, what: str
) -> None:
    recipe = calibrate(bundle, handmade.make_recipe(limits=LIMITS), ENGINES[0], false=claim)
    (answer,) = found(built, bundle, ENGINES[0])
    assert answer == expected(bundle, recipe, ENGINES[0])
    assert f"calibrated with another {what} than this: calibrate it again" in str(answer["refused"])


def test_limits_given_by_hand_and_no_limits_are_as_they_are(built: Path, bundle: Bundle) -> None:
    assert found(built, bundle, ENGINES[0]) == [{"limits": None, "said": ""}]
    recipe = handmade.make_recipe(limits=Limits(0.4, 0.6))
    write_recipe(bundle.path / RECIPES / "object.safetensors", recipe)
    assert found(built, bundle, *ENGINES) == [expected(bundle, recipe, engine) for engine in ENGINES]
    calibrated = calibrate(bundle, recipe, ENGINES[0])
    by_hand = dataclasses.replace(calibrated, calibration=dataclasses.replace(calibrated.calibration, by_hand=True))
    write_recipe(bundle.path / RECIPES / "object.safetensors", by_hand)
    as_they_are = {"limits": msgspec.to_builtins(recipe.limits), "said": ""}
    assert found(built, bundle, *ENGINES) == [as_they_are] * len(ENGINES)


def test_the_digest_of_tensors_is_that_of_several_of_any_shape(built: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(handmade.write_full_bundle(tmp_path / "full.bundle", map_limits=True))
    plain = open_recipe(bundle, "object")
    rows = {f"reference_{name}": plain.text_features[0, :1, :3] for name in ("fine", "coarse")}
    tensors = {**plain.tensors, **rows, "map_limits": plain.text_features[0, 0, :2]}
    recipe = dataclasses.replace(plain, tensors=tensors, limits=LIMITS)
    calibrated = calibrate(bundle, recipe, ENGINES[0])
    assert found(built, bundle, *ENGINES[:2]) == [expected(bundle, calibrated, engine) for engine in ENGINES[:2]]
