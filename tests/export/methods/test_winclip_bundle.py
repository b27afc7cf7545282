"""What is promised of an exported bundle, through the file that the engines read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import clipspect
from clipspect.bundle.bundle import Bundle
from clipspect.engines import Backend, open_backend
from clipspect.recipes.shelf import open_recipe
from clipspect_export import export_bundle
from clipspect_export.graph.graph_check import check_graph
from clipspect_export.methods.winclip.windows import groups
from clipspect_export.towers.config import ClipConfig, read_backbone
from seeded.weights import write_weights
from support.golden_clip import Arrays, golden, unit_rows, weights
from support.rtx import require_parsed

GoldenBundle = tuple[str, Bundle]

GFLOP = 1e9
DYNAMIC = {"image": {0: "N"}, "text_features": {1: "P"}}


@pytest.fixture
def backend(golden_bundle: GoldenBundle) -> Iterator[Backend]:
    with open_backend("onnxruntime", golden_bundle[1].graph_path) as opened:
        yield opened


def inputs(bundle: Bundle) -> Arrays:
    return {"image": golden()["images"], "text_features": open_recipe(bundle).text_features}


def test_scores_and_maps_are_the_references(golden_bundle: GoldenBundle, backend: Backend) -> None:
    key, bundle = golden_bundle
    outputs = backend.run(inputs(bundle))
    assert outputs["anomaly_map"].dtype == outputs["score"].dtype == np.float32
    np.testing.assert_allclose(outputs["score"], golden()[f"score_{key}"], atol=1e-5)
    np.testing.assert_allclose(outputs["anomaly_map"][:, ::4, ::4], golden()[f"map_{key}"], atol=1e-5)
    np.testing.assert_allclose(outputs["image_embedding"], unit_rows(golden()["image_embedding"]), atol=1e-5)


def test_the_runtime_answers_like_the_reference(golden_bundle: GoldenBundle) -> None:
    key, bundle = golden_bundle
    inspector = clipspect.load(bundle.path)
    for index, image in enumerate(golden()["images"]):
        result = inspector.inspect(image)
        assert result.score == pytest.approx(golden()[f"score_{key}"][index], abs=1e-5)
        assert result.anomaly_map.shape == image.shape[:2]
        np.testing.assert_allclose(result.anomaly_map[::4, ::4], golden()[f"map_{key}"][index], atol=1e-5)


def test_a_batch_answers_like_its_images_one_by_one(golden_bundle: GoldenBundle, backend: Backend) -> None:
    given = inputs(golden_bundle[1])
    images = golden()["references"][:3]
    together = backend.run({**given, "image": images})
    for index in range(3):
        alone = backend.run({**given, "image": images[index : index + 1]})
        for name, values in alone.items():
            np.testing.assert_allclose(values[0], together[name][index], atol=1e-5)


def test_several_prompts_count_by_their_closest(golden_bundle: GoldenBundle, backend: Backend) -> None:
    given = inputs(golden_bundle[1])
    one = backend.run(given)
    repeated = backend.run({**given, "text_features": given["text_features"].repeat(4, axis=1)})
    np.testing.assert_allclose(repeated["anomaly_map"], one["anomaly_map"], atol=1e-6)
    other = np.random.default_rng(0).normal(size=(2, 1, 64)).astype(np.float32)
    other[0] = -given["text_features"][1]  # far from everything that the first normal prompt is close to
    more = backend.run({**given, "text_features": np.concatenate([given["text_features"], other], axis=1)})
    assert not np.allclose(more["score"], one["score"], atol=1e-4)


def test_the_graph_is_plain_onnx(golden_bundle: GoldenBundle) -> None:
    path = golden_bundle[1].graph_path
    report = check_graph(path, DYNAMIC)
    assert report.operators["Conv"] == 1
    assert not {"Shape", "Expand"} & report.operators.keys(), "nothing needs the batch size as a value"
    model = onnx.load(path)
    assert {item.domain: item.version for item in model.opset_import} == {"": 18}
    used = {name for node in model.graph.node for name in node.input}
    assert {item.name for item in model.graph.initializer} <= used
    contents = [item.raw_data for item in model.graph.initializer if len(item.raw_data) > 64]
    assert len(set(contents)) == len(contents), "no constant twice"
    for stored in onnx.load(path, load_external_data=False).graph.initializer:
        assert {entry.key: entry.value for entry in stored.external_data}.get("location", "model.onnx.data") == (
            "model.onnx.data"
        )


def test_the_graph_says_nothing_of_the_machine_that_made_it(golden_bundle: GoldenBundle) -> None:
    content = golden_bundle[1].graph_path.read_bytes()
    assert str(Path(__file__).parents[3]).encode() not in content
    assert b"stack_trace" not in content
    assert b"pkg." not in content


def matmul_flops(config: ClipConfig, scales: tuple[int, ...]) -> int:
    """What the packed pass must compute, from the sizes alone."""
    layout = groups(config.grid, scales)
    (size, _), (grid, _) = config.image_size, config.grid
    patches, tokens, count = grid**2, sum(group.tokens for group in layout), sum(group.count for group in layout)
    width, mlp, layers = config.vision.width, config.vision.mlp_width, config.vision.layers
    linear = 2 * width * width
    row = linear + 4 * width * mlp  # output projection and MLP
    pairs = sum(group.count * group.size**2 for group in layout)
    first = 3 * linear * (patches + 1) + row * tokens
    middle = (layers - 2) * tokens * (3 * linear + row)
    last = 2 * linear * tokens + (linear + row) * count
    attention = 4 * width * ((layers - 1) * pairs + tokens)
    sides = [grid - scale + 1 for scale in scales]
    scoring = 2 * count * (width * config.embed_dim + 2 * config.embed_dim)
    scoring += sum(2 * grid * side * (side + grid) for side in sides)  # window means
    upsampling = 2 * size * grid * (grid + size)
    return first + middle + last + attention + scoring + upsampling


def test_only_what_is_needed_is_computed(golden_bundle: GoldenBundle, config: ClipConfig) -> None:
    key, bundle = golden_bundle
    assert bundle.manifest.graphs["words"].flops == matmul_flops(config, tuple(map(int, key)))


def test_the_full_size_graph_computes_at_most_625_gflop() -> None:
    assert matmul_flops(read_backbone("ViT-B-16-plus-240"), (2, 3)) <= 625 * GFLOP


def test_the_manifest_records_what_was_made(golden_bundle: GoldenBundle) -> None:
    manifest = golden_bundle[1].manifest
    assert (manifest.method, manifest.backbone.name, manifest.backbone.activation) == ("winclip", "tiny", "gelu")
    assert (manifest.backbone.weights.source, manifest.backbone.weights.name) == ("file", "tiny.safetensors")
    assert manifest.graphs["words"].inputs["image"].shape == ("N", 240, 240, 3)
    assert manifest.graphs["words"].inputs["text_features"].shape == (2, "P", 64)
    assert manifest.graphs["words"].outputs["anomaly_map"].shape == ("N", 240, 240)
    assert manifest.graphs["words"].outputs["image_embedding"].shape == ("N", 64)
    parity = manifest.graphs["words"].parity
    assert max(parity.score, parity.anomaly_map) <= parity.tolerance == 1e-5
    assert math.prod(manifest.graphs["words"].map_range) == 0
    assert set(manifest.files) == {
        "check.safetensors",
        "fewshot.onnx",
        "model.onnx",
        "model.onnx.data",
        *(["windows.onnx"] if golden_bundle[0] == "23" else []),
    }


def test_openvino_answers_the_same(golden_bundle: GoldenBundle, backend: Backend) -> None:
    openvino = pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    given = inputs(golden_bundle[1])
    compiled = openvino.Core().compile_model(golden_bundle[1].graph_path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = compiled(given)
    for name, expected in backend.run(given).items():
        np.testing.assert_allclose(answer[name], expected, atol=1e-4)


def test_tensorrt_rtx_parses_the_graph(golden_bundle: GoldenBundle) -> None:
    assert require_parsed(golden_bundle[1].graph_path) == list(golden_bundle[1].manifest.graphs["words"].outputs)


def test_fp16_storage_loses_nothing_and_halves_the_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    rounded = {name: value.astype(np.float16).astype(np.float32) for name, value in weights().items()}
    source = write_weights(tmp_path / "rounded.safetensors", rounded)
    bundles = []
    for storage in ("fp32", "fp16"):
        out = tmp_path / storage
        export_bundle("winclip", out, backbone=files[0], weights=source, scales=(3,), storage=storage)
        bundles.append(Bundle.open(out))
    full, half = bundles
    assert (full.manifest.storage, half.manifest.storage) == ("fp32", "fp16")
    assert half.manifest.backbone.weights.encoder_sha256 == full.manifest.backbone.weights.encoder_sha256
    sizes = [bundle.manifest.files["model.onnx.data"].size for bundle in bundles]
    assert sizes[1] < 0.6 * sizes[0]
    answers = []
    for bundle in bundles:
        with open_backend("onnxruntime", bundle.graph_path) as session:
            answers.append(session.run(inputs(bundle)))
    np.testing.assert_array_equal(answers[0]["anomaly_map"], answers[1]["anomaly_map"])


@pytest.mark.parametrize("golden_bundle", [(2, 3)], indirect=True, ids=["23"])
def test_the_same_export_twice_gives_the_same_bytes(
    files: tuple[Path, Path], golden_bundle: GoldenBundle, tmp_path: Path
) -> None:
    bundle = golden_bundle[1]
    source: dict[str, Any] = {"backbone": files[0], "weights": files[1], "objects": ["metal nut"]}
    again = export_bundle("winclip", tmp_path / "again", **source, few_shot=True, windows=True)
    assert again.files == bundle.manifest.files
