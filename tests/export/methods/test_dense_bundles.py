"""AnomalyCLIP, APRIL-GAN and Crane as bundles: the references' numbers through the files that engines read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import clipspect
from clipspect.base.errors import ExportError
from clipspect.bundle.bundle import Bundle
from clipspect.cli import main
from clipspect.engines import open_backend
from clipspect.engines.onnx_split import split
from clipspect.recipes.shelf import open_recipe, recipe_names
from clipspect_export import export_bundle
from clipspect_export.graph.graph_check import check_graph
from clipspect_export.methods.anomalyclip.reference import AnomalyClipReference
from clipspect_export.methods.aprilgan.reference import AprilGanReference
from clipspect_export.methods.crane.reference import CraneReference
from clipspect_export.methods.model import Reference
from clipspect_export.towers.config import ClipConfig, read_backbone
from seeded.published import CRANE
from support.golden_dense import LINEAR, PROMPTS, TRAINED, Files, command, golden, golden_clip, golden_stages
from support.rtx import require_parsed
from support.shared import made_once

GFLOP = 1e9
DYNAMIC = {"image": {0: "N"}, "text_features": {1: "P"}}
TOLERANCE = {"anomalyclip": 1e-5, "aprilgan": 1e-4, "crane": 1e-5}  # of the map; 1e-5 of the score
CASES = {  # method, key of the golden map, options of the command line
    "anomalyclip-24": ("anomalyclip", "map_24_sigma4", []),
    "anomalyclip-24-raw": ("anomalyclip", "map_24_raw", ["--layers", "24", "--sigma", "0"]),
    "anomalyclip-four": ("anomalyclip", "map_6_12_18_24_sigma4", ["--layers", "6,12,18,24", "--sigma", "4"]),
    "anomalyclip-four-raw": ("anomalyclip", "map_6_12_18_24_raw", ["--layers", "6,12,18,24", "--sigma", "0"]),
    "aprilgan": ("aprilgan", "map", []),
    "crane": ("crane", "map_sigma4", []),
    "crane-raw": ("crane", "map_raw", ["--sigma", "0"]),
}


SLOW = ("anomalyclip-24-raw", "anomalyclip-four", "crane-raw")  # each option is in one of the others, too


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in CASES]
)
def case(
    request: pytest.FixtureRequest, sources: Files, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str, Bundle]:
    """The method, the golden map's key, and the bundle that the command line exported."""
    method, key, options = CASES[request.param]
    if method == "aprilgan":
        bundle: Bundle = request.getfixturevalue("aprilgan_bundle")
        return method, key, bundle

    def export(out: Path) -> None:
        assert main([*command(method, sources[method], out), *options]) == 0

    return method, key, Bundle.open(made_once(tmp_path_factory, f"{request.param}.bundle", export))


Case = tuple[str, str, Bundle]


def test_text_features_scores_and_maps_are_the_references(case: Case) -> None:
    method, key, bundle = case
    expected, text = golden(method), open_recipe(bundle).text_features
    np.testing.assert_allclose(text[:, 0], expected["text_features"], atol=1e-6)
    with open_backend("onnxruntime", bundle.graph_path) as backend:
        outputs = backend.run({"image": expected["images"], "text_features": text})
        alone = backend.run({"image": expected["images"][1:], "text_features": text})
    np.testing.assert_allclose(outputs["score"], expected["score"], atol=1e-5)
    np.testing.assert_allclose(outputs["anomaly_map"][:, ::4, ::4], expected[key], atol=TOLERANCE[method])
    for name, values in alone.items():
        np.testing.assert_allclose(values[0], outputs[name][1], atol=TOLERANCE[method])


def test_the_runtime_answers_like_the_reference(case: Case) -> None:
    method, key, bundle = case
    inspector = clipspect.load(bundle.path)
    for index, image in enumerate(golden(method)["images"]):
        result = inspector.inspect(image)
        assert result.score == pytest.approx(golden(method)["score"][index], abs=1e-5)
        assert result.anomaly_map.shape == (518, 518)
        np.testing.assert_allclose(result.anomaly_map[::4, ::4], golden(method)[key][index], atol=TOLERANCE[method])


def test_the_graph_can_be_cut_in_two_for_a_server(case: Case) -> None:
    _, _, bundle = case
    parts = split(bundle.graph_path, bundle.manifest.first_graph)
    assert parts is not None
    assert list(parts.encoder.inputs) == ["image"]
    assert "text_features" in parts.head.inputs


def test_the_manifest_records_what_was_made(case: Case) -> None:
    method, key, bundle = case
    manifest = bundle.manifest
    assert (manifest.method, manifest.image.height, manifest.image.width) == (method, 518, 518)
    assert manifest.backbone.activation == ("gelu" if method == "aprilgan" else "quick_gelu")
    graph = manifest.graphs["words"]
    tolerance = 1e-5 if method == "crane" else 1e-4
    assert max(graph.parity.score, graph.parity.anomaly_map) <= graph.parity.tolerance == tolerance
    layers = manifest.parameters.get("layers", [24])
    assert graph.map_range == (0, len(layers))
    assert layers == ([6, 12, 18, 24] if method == "aprilgan" or "_6_" in key else [24])
    assert manifest.parameters.get("sigma") == (None if method == "aprilgan" else 4.0 if "sigma4" in key else 0.0)
    assert manifest.parameters["checkpoint"]["name"] == TRAINED[method].name
    assert recipe_names(bundle) == (["metal nut"] if method == "aprilgan" else ["object"])


def test_the_graph_is_plain_onnx_and_computes_only_what_is_read(case: Case) -> None:
    method, _, bundle = case
    report = check_graph(bundle.graph_path, DYNAMIC)
    assert report.operators["Conv"] == 1
    assert not {"Shape", "Expand"} & report.operators.keys(), "nothing needs the batch size as a value"
    assert {item.domain: item.version for item in onnx.load(bundle.graph_path).opset_import} == {"": 18}
    config = golden_clip(method).config
    assert report.flops == flops(method, config, len(bundle.manifest.parameters.get("layers", [24])))


def test_of_several_prompts_the_closest_counts(case: Case) -> None:
    method, _, bundle = case
    text = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0))
    images = golden(method)["images"][:1]
    expected = reference(method, bundle)(torch.from_numpy(images), text)
    with open_backend("onnxruntime", bundle.graph_path) as backend:
        found = backend.run({"image": images, "text_features": text.numpy()})
        first = backend.run({"image": images, "text_features": text[:, :1].numpy()})
    for value, name in zip(expected, ("score", "anomaly_map")):
        np.testing.assert_allclose(found[name], value, atol=1e-4)
    assert np.abs(found["anomaly_map"] - first["anomaly_map"]).max() > 1e-2


def reference(method: str, bundle: Bundle) -> Reference:
    clip, parameters = golden_clip(method), bundle.manifest.parameters
    if method == "aprilgan":
        return AprilGanReference(clip.visual, clip.config, golden_stages())
    if method == "crane":
        return CraneReference(clip.visual, clip.config, sigma=parameters["sigma"])
    return AnomalyClipReference(clip.visual, clip.config, layers=parameters["layers"], sigma=parameters["sigma"])


def flops(method: str, config: ClipConfig, stages: int) -> int:
    """Of the MatMuls for one image, counted from what the method must compute."""
    width, mlp, dim, grid = config.vision.width, config.vision.mlp_width, config.embed_dim, config.grid.rows
    depth, patches, size = config.vision.layers, config.grid.patches, config.image_size[0]
    tokens = patches + 1
    token = 2 * (4 * width * width + 2 * width * mlp)  # the linear layers of a block
    block = token * tokens + 4 * tokens * tokens * width
    scoring = 2 * 2 * dim * (1 + stages * patches)
    upsampling = 2 * size * grid * (grid + size)
    if method == "aprilgan":
        projections = 2 * width * dim * (1 + stages * patches)
        return depth * block + projections + scoring + stages * upsampling
    last = token + (tokens - 1) * 2 * 2 * width * width + 4 * tokens * width  # the class token; k and v of all
    second = (depth - 5) * (4 * patches * tokens * width + 2 * patches * width * width)
    if method == "crane":  # two more products of patches with tokens; the last block's q of all; pooling, and its score
        second += (depth - 5) * 4 * patches * tokens * width + 2 * patches * width * width
        scoring = 2 * 2 * dim * (1 + patches) + 2 * patches * dim
    return (depth - 1) * block + last + second + 2 * width * dim * (1 + stages * patches) + scoring + upsampling


def test_the_full_size_graph_of_anomalyclip_computes_at_most_1190_gflop() -> None:
    config = dataclasses.replace(read_backbone("ViT-L-14-336"), image_size=(518, 518))
    assert flops("anomalyclip", config, 1) <= 1190 * GFLOP
    assert flops("aprilgan", config, 4) <= 1030 * GFLOP
    assert flops("crane", config, 1) <= 1350 * GFLOP


TWELVE_LAYERS = ["--backbone", "ViT-B-16-plus-240", "--image-size", "512"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["anomalyclip", "--object", "nut"], "its one recipe is 'object': leave --object out"),
        (["anomalyclip", "--layers", "25"], "the vision tower has the layers 1 to 24"),
        (["anomalyclip", "--sigma", "-1"], "expected 0 (no smoothing)"),
        (["anomalyclip", "--scales", "2"], "anomalyclip has no scales: leave --scales out"),
        (["anomalyclip", "--checkpoint", str(LINEAR)], "found a checkpoint of aprilgan; expected anomalyclip's"),
        (["anomalyclip", "--checkpoint", str(CRANE)], "expected (1, 1, 1, 64)"),
        (
            ["anomalyclip", "--backbone", "ViT-B-16-plus-240", "--image-size", "512"],
            "the vision tower has the layers 1 to 12",
        ),
        (["crane", "--object", "nut"], "crane's learned prompts are for any object, its one recipe is 'object'"),
        (["crane", "--layers", "24"], "crane has no layers"),
        (["crane", "--sigma", "-1"], "expected 0 (no smoothing)"),
        (["crane", "--few-shot"], "crane has no few-shot form"),
        (["crane", "--checkpoint", str(LINEAR)], "found a checkpoint of aprilgan; expected crane's"),
        (["crane", "--checkpoint", str(PROMPTS)], "found a checkpoint of anomalyclip (it has compound_prompt_projec"),
        (["crane", "--checkpoint", str(CRANE)], "expected (1, 1, 1, 64)"),
        (["aprilgan", "--layers", "24"], "aprilgan has no layers"),
        (["aprilgan", "--checkpoint", str(PROMPTS)], "found a checkpoint of anomalyclip; expected aprilgan's"),
        (
            ["aprilgan", "--backbone", "ViT-B-16-plus-240", "--image-size", "512"],
            "12 layers; APRIL-GAN reads 6, 12, 18 and 24",
        ),
        (["winclip", "--checkpoint", str(LINEAR)], "winclip has no checkpoint"),
    ],
)
def test_what_a_method_does_not_take_is_refused_in_one_line(
    arguments: list[str], message: str, sources: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    method, *options = arguments
    source = sources.get(method, sources["aprilgan"])
    assert main([*command(method, source, tmp_path / "x"), *options]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", ["anomalyclip", "aprilgan", "crane"])
def test_without_its_checkpoint_a_method_is_refused(method: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=f"{method} needs the trained file of its official code: add --checkpoint"):
        export_bundle(method, tmp_path / "x", backbone="ViT-L-14-336", weights="openai")


def test_openvino_answers_the_same(case: Case) -> None:
    openvino = pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    method, _, bundle = case
    given = {"image": golden(method)["images"][:1], "text_features": open_recipe(bundle).text_features}
    compiled = openvino.Core().compile_model(bundle.graph_path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = compiled(given)
    with open_backend("onnxruntime", bundle.graph_path) as backend:
        for name, expected in backend.run(given).items():
            np.testing.assert_allclose(answer[name], expected, atol=1e-4)


def test_tensorrt_rtx_parses_the_graph(case: Case) -> None:
    require_parsed(case[2].graph_path)
