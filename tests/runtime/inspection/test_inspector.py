"""From frame to result, through the public face."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import clipspect
from clipspect.base.errors import ImageError
from clipspect.inspection.inspector import Inspector
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from support import handmade


@pytest.fixture
def inspector(tiny_bundle: Path) -> Inspector:
    return clipspect.load(tiny_bundle, backend="onnxruntime", threads=1)


def test_a_bright_spot_is_found_where_it_is(inspector: Inspector) -> None:
    result = inspector.inspect(handmade.spotted(width=64, height=48))
    assert result.score == pytest.approx(1.0)
    assert result.anomaly_map.shape == (48, 64)
    assert result.anomaly_map.dtype == np.float32
    (region,) = result.regions
    assert (region.x, region.y, region.width, region.height) == pytest.approx((16, 12, 16, 12), abs=2)
    assert region.peak == pytest.approx(1.0)
    assert result.source is None
    assert result.verdict is None
    assert result.map_limit == 0.5


def test_every_stage_has_its_milliseconds(inspector: Inspector) -> None:
    timings = inspector.inspect(handmade.spotted()).timings
    stages = (timings.decode, timings.preprocess, timings.infer, timings.post)
    assert all(0 < stage < 10_000 for stage in stages)
    assert timings.total == pytest.approx(sum(stages))


def test_a_path_an_image_and_an_array_give_the_same_result(inspector: Inspector, image_folder: Path) -> None:
    path = image_folder / "part9.png"
    results = [inspector.inspect(frame) for frame in (path, str(path), Image.open(path), handmade.spotted())]
    for result in results[1:]:
        assert result.score == results[0].score
        np.testing.assert_array_equal(result.anomaly_map, results[0].anomaly_map)
    assert [result.source for result in results] == [str(path)] * 3 + [None]


def test_a_batch_of_different_sizes_answers_as_one_by_one(inspector: Inspector) -> None:
    frames = [handmade.spotted(64, 48, 255), handmade.spotted(30, 90, 120), np.full((1, 1), 7, np.uint8)]
    batch = inspector.inspect_batch(frames)
    for frame, result in zip(frames, batch):
        alone = inspector.inspect(frame)
        assert result.score == pytest.approx(alone.score, abs=1e-6)
        np.testing.assert_allclose(result.anomaly_map, alone.anomaly_map, atol=1e-6)
        assert result.anomaly_map.shape == frame.shape[:2]


def test_an_empty_batch_is_an_empty_list(inspector: Inspector) -> None:
    assert inspector.inspect_batch([]) == []


def test_scores_are_raw_whatever_else_is_in_the_batch(inspector: Inspector) -> None:
    calm = inspector.inspect(np.full((40, 40), 51, np.uint8))
    assert calm.score == pytest.approx(0.2)
    np.testing.assert_allclose(calm.anomaly_map, 0.2, atol=1e-6)
    assert calm.regions == ()


def test_the_map_limit_decides_what_is_a_region(tiny_bundle: Path) -> None:
    grey = np.full((40, 40), 51, np.uint8)
    assert [region.area for region in clipspect.load(tiny_bundle, map_limit=0.1).inspect(grey).regions] == [1600]


def test_a_map_limit_that_is_no_number_is_refused(tiny_bundle: Path) -> None:
    with pytest.raises(clipspect.ClipspectError, match="map_limit: expected a finite number"):
        clipspect.load(tiny_bundle, map_limit=float("nan"))


def test_a_recipe_with_limits_gives_verdicts(tiny_bundle: Path) -> None:
    limited = handmade.make_recipe("limited", limits=Limits(0.3, 0.6))
    write_recipe(tiny_bundle / "recipes/limited.safetensors", limited)
    inspector = clipspect.load(tiny_bundle, recipe="limited")
    greys = (handmade.grey(value) for value in (51, 102, 204))
    assert [result.verdict for result in inspector.inspect_batch(greys)] == ["pass", "uncertain", "fail"]


def test_a_recipe_is_switched_without_a_new_engine(tmp_path: Path) -> None:
    root = handmade.write_bundle(tmp_path / "b", recipes=("nut",))
    twice = handmade.make_recipe("bolt", tensors={"text_features": np.full((2, 3, 4), 2, np.float32)})
    write_recipe(root / "recipes/bolt.safetensors", twice)
    inspector = clipspect.load(root, recipe="nut")
    grey = np.full((8, 8), 51, np.uint8)
    assert inspector.inspect(grey).score == pytest.approx(0.2)
    inspector.use_recipe("bolt")
    assert inspector.recipe.name == "bolt"
    assert inspector.inspect(grey).score == pytest.approx(0.4)


def test_a_frame_is_judged_by_the_recipe_that_scored_it(tiny_bundle: Path) -> None:
    strict = handmade.make_recipe("strict", limits=Limits(0.1, 0.1))
    mild = handmade.make_recipe("mild", limits=Limits(0.9, 0.9))
    with clipspect.load(tiny_bundle, recipe=strict) as inspector:
        frame = inspector.prepare(handmade.grey(51))
        (before,) = inspector.answer([frame])
        inspector.use_recipe(mild)
        (after,) = inspector.answer([frame])
        assert inspector.finish(before).verdict == "fail"
        assert inspector.finish(after).verdict == "pass"


def test_a_recipe_with_references_needs_the_few_shot_graph(tiny_bundle: Path) -> None:
    tensors = {"text_features": np.ones((2, 1, 4), np.float32), "reference_2": np.ones((1, 4), np.float32)}
    write_recipe(tiny_bundle / "recipes/few.safetensors", handmade.make_recipe("few", tensors=tensors))
    with pytest.raises(clipspect.RecipeError, match="has references, the bundle has no few-shot graph"):
        clipspect.load(tiny_bundle, recipe="few")


@pytest.mark.parametrize(
    ("references", "reason"),
    [
        ({"fine": (1, 3)}, "but the graph takes reference_coarse, reference_fine, text_features"),
        (
            {"fine": (1, 3), "coarse": (2, 4)},
            r"reference_coarse has the shape \(2, 4\), the graph takes \(R_coarse, 3\)",
        ),
    ],
)
def test_a_recipe_with_other_inputs_than_the_graph_is_refused(
    full_bundle: Path, references: dict[str, tuple[int, int]], reason: str
) -> None:
    galleries = {f"reference_{name}": np.ones(shape, np.float32) for name, shape in references.items()}
    few = handmade.make_recipe("few", tensors={"text_features": np.ones((2, 1, 4), np.float32), **galleries})
    with pytest.raises(clipspect.RecipeError, match=reason):
        clipspect.load(full_bundle, recipe=few)


def test_a_recipe_in_memory_is_loaded_and_switched_to(tiny_bundle: Path) -> None:
    grey = np.full((8, 8), 51, np.uint8)
    inspector = clipspect.load(tiny_bundle, recipe=handmade.make_recipe("unwritten"))
    assert inspector.recipe.name == "unwritten"
    assert inspector.inspect(grey).score == pytest.approx(0.2)
    inspector.use_recipe(handmade.make_recipe("twice", tensors={"text_features": np.full((2, 3, 4), 2, np.float32)}))
    assert inspector.inspect(grey).score == pytest.approx(0.4)


def test_a_recipe_in_memory_of_other_weights_is_refused(inspector: Inspector, tiny_bundle: Path) -> None:
    stranger = handmade.make_recipe("stranger", encoder_sha256="0" * 64)
    with pytest.raises(clipspect.RecipeError, match="made for other encoder weights"):
        clipspect.load(tiny_bundle, recipe=stranger)
    with pytest.raises(clipspect.RecipeError, match="made for other encoder weights"):
        inspector.use_recipe(stranger)


def test_an_inspector_switches_between_recipes_of_words_and_of_references(full_bundle: Path) -> None:
    rows = {f"reference_{name}": np.ones((2, 3), np.float32) for name in ("fine", "coarse")}
    few = handmade.make_recipe("few", tensors={"text_features": np.ones((2, 1, 4), np.float32), **rows})
    with clipspect.load(full_bundle, few, "onnxruntime") as alone:
        expected = alone.inspect(handmade.spotted()), alone.map_range, alone.map_limit
    with clipspect.load(full_bundle, backend="onnxruntime") as inspector:
        words = inspector.inspect(handmade.spotted()).score
        inspector.use_recipe(few)
        found = inspector.inspect(handmade.spotted())
        assert (found.score, inspector.map_range, inspector.map_limit) == (expected[0].score, *expected[1:])
        np.testing.assert_array_equal(found.anomaly_map, expected[0].anomaly_map)
        inspector.use_recipe("object")
        assert inspector.inspect(handmade.spotted()).score == words


def test_a_graph_that_was_changed_since_the_bundle_was_verified_is_not_opened_by_a_switch(full_bundle: Path) -> None:
    rows = {f"reference_{name}": np.ones((2, 3), np.float32) for name in ("fine", "coarse")}
    few = handmade.make_recipe("few", tensors={"text_features": np.ones((2, 1, 4), np.float32), **rows})
    graph = full_bundle / "fewshot.onnx"
    whole = graph.read_bytes()
    with clipspect.load(full_bundle, backend="onnxruntime") as inspector:
        words = inspector.inspect(handmade.spotted()).score
        for switch in (inspector.use_recipe, inspector.with_recipe):
            graph.write_bytes(bytes(len(whole)))
            with pytest.raises(clipspect.BundleError, match="the content does not match its hash"):
                switch(few)
            graph.unlink()
            with pytest.raises(clipspect.BundleError, match="the file is missing"):
                switch(few)
        assert inspector.inspect(handmade.spotted()).score == words
        graph.write_bytes(whole)
        inspector.use_recipe(few)


def test_the_inspector_says_what_it_runs_on(inspector: Inspector) -> None:
    assert (inspector.backend, inspector.device, inspector.precision) == ("onnxruntime", "cpu", "fp32")
    assert inspector.reason == ""
    assert inspector.recipe.name == "object"
    assert inspector.bundle.manifest.method == "winclip"


def test_a_named_backend_that_is_not_there_is_refused(tiny_bundle: Path) -> None:
    with pytest.raises(clipspect.BackendError, match="no backend 'tpu'"):
        clipspect.load(tiny_bundle, backend="tpu")


def test_without_a_backend_the_inspector_says_what_it_took_and_why(tiny_bundle: Path) -> None:
    with clipspect.load(tiny_bundle) as inspector:
        assert inspector.backend in ("onnxruntime", "openvino")
        assert inspector.reason


def test_an_fp16_bundle_is_refused_on_the_cpu(tmp_path: Path) -> None:
    with pytest.raises(clipspect.BackendError, match="fp16"):
        clipspect.load(handmade.write_bundle(tmp_path / "b", precision="fp16"))


def test_after_closing_there_are_no_more_results(tiny_bundle: Path) -> None:
    with clipspect.load(tiny_bundle) as inspector:
        inspector.inspect(handmade.spotted())
    with pytest.raises(clipspect.BackendError, match="closed"):
        inspector.inspect(handmade.spotted())


def test_an_engine_that_answers_nan_is_an_error_not_a_score(tmp_path: Path) -> None:
    root = handmade.write_bundle(tmp_path / "b")
    endless = handmade.make_recipe("endless", tensors={"text_features": np.full((2, 1, 4), np.inf, np.float32)})
    inspector = clipspect.load(root, endless)
    with pytest.raises(clipspect.BackendError, match="NaN or infinity"):
        inspector.inspect(handmade.spotted())


def test_the_word_demo_is_the_embedded_bundle(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = types.ModuleType("clipspect_models")
    monkeypatch.setattr(models, "DEMO_BUNDLE", tiny_bundle, raising=False)
    monkeypatch.setitem(sys.modules, "clipspect_models", models)
    assert clipspect.load("demo").bundle.path == tiny_bundle


def test_an_installation_without_the_embedded_bundle_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "clipspect_models", None)
    with pytest.raises(clipspect.BundleError, match="embedded demo bundle"):
        clipspect.load("demo")


@pytest.mark.parametrize("frame", [np.zeros((3, 5, 3), np.uint8), np.zeros((3, 5), np.uint8), "part.png"])
def test_one_frame_is_not_taken_for_a_batch(tiny_bundle: Path, frame: Any) -> None:
    with clipspect.load(tiny_bundle) as inspector, pytest.raises(ImageError, match="for one frame call inspect"):
        inspector.inspect_batch(frame)
