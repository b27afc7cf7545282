"""What is promised of the few-shot graph, through the file that the engines read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.numpy import load_file

from clipspect.bundle.bundle import Bundle
from clipspect.bundle.inspection_graph import InspectionGraph
from clipspect.engines import Backend, open_backend
from clipspect.engines.graph import TensorSpec
from clipspect.inspection.verify import verify
from clipspect.recipes.shelf import open_recipe
from clipspect_export.check.answers import CHECK_IMAGES, check_images
from clipspect_export.graph.graph_check import check_graph
from clipspect_export.methods.aprilgan.reference import FewShotAprilGanReference
from clipspect_export.methods.model import Reference
from clipspect_export.methods.winclip.reference import FewShotWinClipReference
from clipspect_export.towers.clip import Clip
from support.golden_clip import Arrays, golden
from support.golden_dense import golden as golden_dense
from support.golden_dense import golden_clip as dense_clip
from support.golden_dense import golden_stages
from support.rtx import require_built

MAP_LIMITS = np.array([0.5, 3.0], np.float32)
DATA = "model.onnx.data"


@dataclass(frozen=True, eq=False)
class Case:
    """An exported bundle, what the reference answered, and how close the maps must come."""

    bundle: Bundle
    expected: Arrays
    key: str  # the scales in the names of WinCLIP's arrays; empty for APRIL-GAN
    clip: Clip
    reference: Reference
    tolerance: float

    @property
    def few_shot(self) -> InspectionGraph:
        return self.bundle.manifest.graphs["both"]

    @property
    def path(self) -> Path:
        return self.bundle.path / self.few_shot.file

    @property
    def sides(self) -> list[int]:
        """How many windows of each scale stand in a row."""
        return [self.clip.config.grid.rows - int(scale) + 1 for scale in self.key]

    @property
    def galleries(self) -> dict[str, TensorSpec]:
        """The graph's inputs for them, by the name that they share with its features."""
        inputs = self.few_shot.inputs
        return {name.removeprefix("reference_"): spec for name, spec in inputs.items() if name.startswith("reference_")}

    @property
    def words(self) -> Arrays:
        """All inputs but the image and the galleries."""
        limits = {"map_limits": MAP_LIMITS} if "map_limits" in self.few_shot.inputs else {}
        return {"text_features": open_recipe(self.bundle).text_features, **limits}


@pytest.fixture(params=["winclip-23", "winclip-235", "aprilgan"])
def case(request: pytest.FixtureRequest, winclip_bundle: Callable[[tuple[int, ...]], Bundle], clip: Clip) -> Case:
    name, _, key = request.param.partition("-")
    if name == "winclip":
        scales = tuple(map(int, key))
        reference: Reference = FewShotWinClipReference(clip.visual, clip.config, scales)
        return Case(winclip_bundle(scales), golden(), key, clip, reference, 1e-5)
    dense = dense_clip(name)
    reference = FewShotAprilGanReference(dense.visual, dense.config, golden_stages())
    bundle: Bundle = request.getfixturevalue("aprilgan_bundle")
    return Case(bundle, golden_dense(name), key, dense, reference, 1e-4)


@pytest.fixture
def backend(case: Case) -> Iterator[Backend]:
    with open_backend("onnxruntime", case.path) as opened:
        yield opened


def galleries(case: Case, backend: Backend, references: Any) -> Arrays:
    """The rows of references by the graph itself, which is given galleries of one row of zeros for that."""
    blank = {f"reference_{name}": np.zeros((1, spec.shape[1]), np.float32) for name, spec in case.galleries.items()}
    outputs = backend.run({"image": references, **case.words, **blank})
    assert all(np.isfinite(value).all() for value in outputs.values())
    return {
        f"reference_{name}": outputs[f"features_{name}"].reshape(-1, spec.shape[1])
        for name, spec in case.galleries.items()
    }


@pytest.mark.parametrize("shots", [1, 4])
def test_scores_and_maps_are_the_references(case: Case, backend: Backend, shots: int) -> None:
    remembered = galleries(case, backend, case.expected["references"][:shots])
    found = backend.run({"image": case.expected["images"], **case.words, **remembered})
    maps = found["anomaly_map"]
    suffix = f"{shots}shot" if not case.key else f"{case.key}_{shots}shot"
    np.testing.assert_allclose(maps[:, ::4, ::4], case.expected[f"map_{suffix}"], atol=case.tolerance)
    if case.key:
        score = case.expected[f"score_{suffix}"]
    else:  # the paper's, with limits that are given
        low, high = MAP_LIMITS
        score = 0.5 * (case.expected["score"] + (maps.max(axis=(1, 2)) - low) / (high - low))
    np.testing.assert_allclose(found["score"], score, atol=1e-5)


def test_an_images_own_rows_are_torchs_and_of_length_1(case: Case, backend: Backend) -> None:
    images, references = case.expected["images"], case.expected["references"][:1]
    words = {name: torch.from_numpy(value) for name, value in case.words.items()}
    _, _, embedding, rows = case.reference(torch.from_numpy(images), torch.from_numpy(references), **words)
    found = backend.run({"image": images, **case.words, **galleries(case, backend, references)})
    np.testing.assert_allclose(found["image_embedding"], embedding, atol=1e-5)
    assert [name for name in found if name.startswith("features_")] == [f"features_{name}" for name in case.galleries]
    for name, expected in zip(case.galleries, rows):
        np.testing.assert_allclose(found[f"features_{name}"], expected, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(found[f"features_{name}"], axis=-1), 1, atol=1e-5)


def test_what_references_hold_too_is_not_anomalous_by_them(case: Case, backend: Backend) -> None:
    images = case.expected["references"][:2]
    with open_backend("onnxruntime", case.bundle.graph_path) as zero_shot:
        text = zero_shot.run({"image": images, "text_features": case.words["text_features"]})
    found = backend.run({"image": images, **case.words, **galleries(case, backend, images)})
    if case.key:
        score, anomaly_map = text["score"] / 2, text["anomaly_map"] / 2
    else:
        low, high = MAP_LIMITS
        anomaly_map = text["anomaly_map"]
        score = 0.5 * (text["score"] + (anomaly_map.max(axis=(1, 2)) - low) / (high - low))
    np.testing.assert_allclose(found["anomaly_map"], anomaly_map, atol=case.tolerance)
    np.testing.assert_allclose(found["score"], score, atol=1e-5)


def test_more_references_never_make_a_pixel_more_anomalous(case: Case, backend: Backend) -> None:
    few, more = (
        backend.run(
            {
                "image": case.expected["images"][:1],
                **case.words,
                **galleries(case, backend, case.expected["references"][:shots]),
            }
        )["anomaly_map"]
        for shots in (1, 3)
    )
    assert (more <= few + case.tolerance).all()
    assert more.mean() < few.mean()


def test_a_batch_answers_like_its_images_one_by_one(case: Case, backend: Backend) -> None:
    given = {**case.words, **galleries(case, backend, case.expected["references"][:1])}
    images = case.expected["references"][1:4]
    together = backend.run({"image": images, **given})
    for index in range(3):
        for name, values in backend.run({"image": images[index : index + 1], **given}).items():
            np.testing.assert_allclose(values[0], together[name][index], atol=case.tolerance)


def test_the_graph_is_plain_onnx_over_the_zero_shot_graphs_weights(case: Case) -> None:
    dynamic = {"image": {0: "N"}, "text_features": {1: "P"}}
    dynamic |= {f"reference_{name}": {0: f"R_{name}"} for name in case.galleries}
    report = check_graph(case.path, dynamic)
    assert report.operators["Conv"] == 1
    assert not {"Shape", "Expand"} & report.operators.keys(), "nothing needs the batch size as a value"
    places = {path: stored(path) for path in (case.bundle.graph_path, case.path)}
    zero_shot_end = max(offset + length for offset, length in places[case.bundle.graph_path])
    assert case.bundle.manifest.files[DATA].size < zero_shot_end + 2**14  # where to read patches in the last block
    data = (case.bundle.path / DATA).read_bytes()
    contents = [data[offset : offset + length] for offset, length in set().union(*places.values())]
    assert len(set(contents)) == len(contents), "no constant twice"


def stored(path: Path) -> set[tuple[int, int]]:
    """Offset and length of each tensor of a graph in the one data file."""
    places = set()
    for tensor in onnx.load(path, load_external_data=False).graph.initializer:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        assert entries.get("location", DATA) == DATA
        if entries:
            places.add((int(entries["offset"]), int(entries["length"])))
    return places


def test_only_what_is_needed_is_computed_besides_the_zero_shot_graph(case: Case) -> None:
    config, manifest = case.clip.config, case.bundle.manifest
    width, mlp, dim, patches = config.vision.width, config.vision.mlp_width, config.embed_dim, config.grid.patches
    (size, _), (grid, _) = config.image_size, config.grid
    upsampling = 2 * size * grid * (grid + size)  # of one more map
    if case.key:
        token = 2 * (2 * width * width + 2 * width * mlp)  # query, output projection and MLP
        last = patches * (token + 4 * (patches + 1) * width)  # the patches' rows in the last block
        means = sum(2 * grid * side * (side + grid) for side in case.sides)
        more = last + 2 * (patches * width + sum(side**2 for side in case.sides) * dim) + means + upsampling
    else:
        more = 4 * 2 * patches * width + upsampling
    assert case.few_shot.flops == manifest.graphs["words"].flops + more  # with one row in each gallery


def test_the_manifest_records_the_few_shot_graph(case: Case) -> None:
    parity = case.few_shot.parity
    assert max(parity.score, parity.anomaly_map) <= parity.tolerance == case.tolerance
    assert case.few_shot.map_range == ((0.0, 0.5) if case.key else case.bundle.manifest.graphs["words"].map_range)
    grid, width = case.clip.config.grid, case.clip.config.vision.width
    if case.key:
        assert list(case.galleries) == ["patches", *(f"windows_{scale}" for scale in case.key)]
        assert case.galleries["windows_2"].shape == ("R_windows_2", 64)
        assert case.galleries["patches"].shape == ("R_patches", width)
        assert case.few_shot.outputs["features_patches"].shape == ("N", grid.patches, width)
    else:
        assert list(case.galleries) == ["layer_6", "layer_12", "layer_18", "layer_24"]
        assert case.few_shot.inputs["map_limits"].shape == (2,)
        assert case.few_shot.outputs["features_layer_6"].shape == ("N", grid.patches, width)


def test_the_check_holds_the_torch_references_answers(case: Case) -> None:
    check = load_file(case.bundle.path / "check.safetensors")
    names = {"images", "text_features", "score", "anomaly_map", "image_embedding"}
    names |= {"fewshot_references", "fewshot_score", "fewshot_anomaly_map", "fewshot_image_embedding"}
    assert set(check) == (names if case.key else names | {"map_limits"})
    size, _ = case.clip.config.image_size
    drawn = check_images(size, CHECK_IMAGES + 1)
    images, references = drawn[:-1], drawn[-1:]
    np.testing.assert_array_equal(check["images"], images)
    np.testing.assert_array_equal(check["fewshot_references"], references)
    words = {name: torch.from_numpy(check[name]) for name in case.words}
    score, anomaly_map, embedding, _ = case.reference(
        torch.from_numpy(images[:1]), torch.from_numpy(references), **words
    )
    np.testing.assert_allclose(check["fewshot_score"][:1], score, atol=1e-5)
    np.testing.assert_allclose(check["fewshot_anomaly_map"][:1], anomaly_map, atol=1e-5)
    np.testing.assert_allclose(check["fewshot_image_embedding"][:1], embedding, atol=1e-5)
    assert check["anomaly_map"].shape == (CHECK_IMAGES, size, size)
    on_demand = ["on demand"] if case.bundle.manifest.windows is not None else []
    compared = [comparison.graph for comparison in verify(case.bundle).comparisons]
    assert compared == ["zero-shot", "few-shot", *on_demand]


def test_openvino_answers_the_same(case: Case, backend: Backend) -> None:
    openvino = pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    remembered = galleries(case, backend, case.expected["references"][:1])
    given = {"image": case.expected["images"][:1], **case.words, **remembered}
    answer = openvino.Core().compile_model(case.path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(given)
    for name, expected in backend.run(given).items():
        np.testing.assert_allclose(answer[name], expected, atol=1e-4)


def test_tensorrt_rtx_parses_the_graph_and_builds_it(case: Case) -> None:
    require_built(case.path, case.few_shot)
