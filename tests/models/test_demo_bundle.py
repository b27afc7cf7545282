from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import clipspect
from clipspect.bundle.bundle import Bundle
from clipspect.inspection.load import load
from clipspect.recipes.make import make_recipe
from clipspect.recipes.prompts import read_ensemble, text_features
from clipspect.recipes.shelf import open_recipe
from clipspect_export.towers.clip import build_clip
from clipspect_export.towers.config import read_backbone
from clipspect_export.towers.prompts import embed_prompts
from clipspect_export.towers.weights import encoder_sha256, load_weights
from clipspect_lab.demo.pictures import read_photographs
from clipspect_lab.evaluation.metrics import auroc
from clipspect_models import DEMO_BUNDLE, DEMO_IMAGES
from demo import defects, surfaces
from demo.held_out import figures
from demo.train import CONFIG

COMMITTED_BYTES = 22e6
PROMISED = 0.80  # image and pixel AUROC on held-out families and kinds


def test_the_embedded_bundle_is_what_the_exporter_makes_of_the_embedded_weights() -> None:
    config = read_backbone(CONFIG)
    loaded, config = load_weights(CONFIG.with_suffix(".safetensors"), config)
    bundle = Bundle.open(DEMO_BUNDLE)
    assert bundle.manifest.backbone.weights.encoder_sha256 == encoder_sha256(loaded.tensors, config.activation)
    assert set(bundle.manifest.graphs) == {"words", "photos"}
    for graph in bundle.manifest.graphs.values():
        assert max(graph.parity.score, graph.parity.anomaly_map) <= 1e-5 * graph.parity.scale
    recipe = open_recipe(bundle)
    clip = build_clip(config, loaded.tensors)
    features = text_features(read_ensemble("winclip"), recipe.object, lambda prompts: embed_prompts(prompts, clip))
    np.testing.assert_allclose(recipe.text_features, features, atol=1e-5)


def test_the_shipped_pictures_are_of_held_out_families_and_kinds() -> None:
    index = json.loads((DEMO_IMAGES / "index.json").read_text())
    assert {row["family"] for row in index} == set(surfaces.HELD_OUT)
    assert {row["defect"] for row in index} == {None, *defects.HELD_OUT}


def test_all_that_is_committed_for_the_demo_is_under_22_megabytes() -> None:
    models = DEMO_BUNDLE.parent
    committed = [*models.rglob("*"), models.parent.parent / "docs" / "demo.jpg"]
    assert sum(path.stat().st_size for path in committed if path.is_file()) <= COMMITTED_BYTES


@pytest.mark.slow
def test_the_demo_model_keeps_its_promise_on_held_out_families_and_kinds() -> None:
    mean = figures("demo", each=2)[-1]
    assert mean.image_auroc is not None
    assert mean.image_auroc >= PROMISED
    assert mean.pixel_auroc is not None
    assert mean.pixel_auroc >= PROMISED


@pytest.mark.parametrize("frames", [1, 3])
def test_the_demo_bundle_answers_the_same_alone_and_in_a_batch(frames: int) -> None:
    paths = sorted(DEMO_IMAGES.glob("*.jpg"))[:frames]
    with clipspect.load("demo") as inspector:
        alone = [inspector.inspect(path) for path in paths]
        together = inspector.inspect_batch(paths)
    for one, other in zip(alone, together):
        assert one.score == pytest.approx(other.score, abs=1e-5)
        np.testing.assert_allclose(one.anomaly_map, other.anomaly_map, atol=1e-5)


@pytest.mark.parametrize("place", [0, 1_000_003, -1])
def test_a_flipped_byte_of_the_external_weights_is_refused(tmp_path: Path, place: int) -> None:
    copy = tmp_path / "demo.bundle"
    shutil.copytree(DEMO_BUNDLE, copy)
    data = bytearray((copy / "model.onnx.data").read_bytes())
    data[place] ^= 1
    (copy / "model.onnx.data").write_bytes(data)
    with pytest.raises(clipspect.BundleError, match="does not match its hash"):
        clipspect.load(copy)


def test_the_memory_of_sixteen_good_cookies_tells_broken_ones() -> None:
    photographs = read_photographs()
    recipe = make_recipe("demo", "cookie", references=photographs.references, judge="photos")
    with load("demo", recipe) as inspector:
        scores = [inspector.inspect(photographs.folder / picture.file).score for picture in photographs.pictures]
    truth = [picture.mask is not None for picture in photographs.pictures]
    assert auroc(truth, scores) == pytest.approx(0.92, abs=0.02)
