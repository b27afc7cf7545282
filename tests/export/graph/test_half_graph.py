"""fp16 graphs: what is in fp16 and what is not, what the emulation computes, and who builds or refuses them."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto
from PIL import Image

from clipspect.base.errors import ExportError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.precision_record import LIMITS
from clipspect.cli import main
from clipspect.engines import open_backend
from clipspect.recipes.shelf import open_recipe
from clipspect_export.check.answers import CHECK_IMAGES, check_images
from clipspect_export.graph.graph_check import check_graph
from clipspect_export.graph.half_graph import emulated, halve
from support.precision_cases import halved, linear_graph
from support.rtx import require_built, require_parsed
from support.shared import made_once

HALF, FLOAT = TensorProto.FLOAT16, TensorProto.FLOAT


@pytest.fixture(scope="module")
def half_bundle(files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The golden WinCLIP from the command line in fp16, few-shot graph included."""

    def export(out: Path) -> None:
        command = ["export", "winclip", "--out", str(out), "--backbone", str(files[0]), "--weights", str(files[1])]
        assert main([*command, "--object", "metal nut", "--few-shot", "--precision", "fp16"]) == 0

    return Bundle.open(made_once(tmp_path_factory, "winclip fp16.bundle", export))


def outputs_by_type(path: Path) -> dict[str, Counter[int]]:
    """How many outputs of each operator have which element type."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path, load_external_data=False), strict_mode=True)
    types = {value.name: value.type.tensor_type.elem_type for value in (*model.graph.value_info, *model.graph.output)}
    counted: dict[str, Counter[int]] = {}
    for node in model.graph.node:
        counted.setdefault(node.op_type, Counter()).update(types[name] for name in node.output)
    return counted


def test_products_are_in_fp16_and_norms_softmax_and_lengths_in_fp32(half_bundle: Bundle) -> None:
    for graph in half_bundle.manifest.graphs.values():
        types = outputs_by_type(half_bundle.path / graph.file)
        assert types["Conv"].keys() == {HALF}
        assert types["MatMul"][HALF] > 2 * types["MatMul"][FLOAT] > 0  # in fp32: cosines, means and the maps
        for operator in ("LayerNormalization", "Softmax", "ReduceL2", "ReduceMax", "Sigmoid"):
            assert types[operator].keys() == {FLOAT}, operator
        assert types["Erf"].keys() == {HALF}


def test_inputs_outputs_and_flops_are_those_of_the_fp32_graph(
    half_bundle: Bundle, winclip_bundle: Callable[[tuple[int, ...]], Bundle]
) -> None:
    exact = winclip_bundle((2, 3))
    assert half_bundle.manifest.graphs.keys() == exact.manifest.graphs.keys() == {"words", "both"}
    for role, half in half_bundle.manifest.graphs.items():
        full = exact.manifest.graphs[role]
        assert (half.inputs, half.outputs, half.flops) == (full.inputs, full.outputs, full.flops)


def test_the_weights_take_half_the_file_and_both_graphs_read_it(
    half_bundle: Bundle, winclip_bundle: Callable[[tuple[int, ...]], Bundle]
) -> None:
    half, full = (bundle.manifest.files["model.onnx.data"].size for bundle in (half_bundle, winclip_bundle((2, 3))))
    assert 0.5 * full <= half <= 0.55 * full
    assert [name for name in half_bundle.manifest.files if name.endswith(".data")] == ["model.onnx.data"]


def test_the_parity_record_is_the_emulations_and_passes(half_bundle: Bundle) -> None:
    manifest = half_bundle.manifest
    assert manifest.precision == "fp16"
    for parity in (manifest.graphs[role].parity for role in ("words", "both")):
        assert (parity.engine, parity.images) == ("onnxruntime, emulated", CHECK_IMAGES)
        assert 0 < max(parity.score, parity.anomaly_map) <= parity.tolerance == LIMITS["fp16"].difference
    (record,) = manifest.precisions
    assert (record.name, record.engine, record.passed, record.forced) == ("fp16", "onnxruntime, emulated", True, False)
    assert record.image_auroc_lost is not None
    assert record.image_auroc_lost <= 0.5
    assert record.rank_correlation is not None
    assert record.rank_correlation >= LIMITS["fp16"].rank_correlation


def test_tensorrt_builds_the_zero_shot_and_the_few_shot_graph(half_bundle: Bundle) -> None:
    for graph in half_bundle.manifest.graphs.values():
        require_built(half_bundle.path / graph.file, graph)


@pytest.mark.slow
@pytest.mark.parametrize("file", ["model.onnx", "fewshot.onnx"])
def test_a_dense_methods_graph_in_fp16_is_parsed_and_answers_like_in_fp32(
    aprilgan_bundle: Bundle, file: str, tmp_path: Path
) -> None:
    half = halved(aprilgan_bundle.path / file, tmp_path)
    check_graph(half, {"image": {0: "N"}})
    assert require_parsed(half)[:3] == ["score", "anomaly_map", "image_embedding"]
    if file == "model.onnx":
        given = {"image": check_images(518, 1), "text_features": open_recipe(aprilgan_bundle).text_features}
        with emulated(half) as copy, open_backend("onnxruntime", copy) as backend:
            rounded = backend.run(given)
        with open_backend("onnxruntime", aprilgan_bundle.graph_path) as backend:
            exact = backend.run(given)
        for name in ("score", "anomaly_map"):
            np.testing.assert_allclose(rounded[name], exact[name], atol=LIMITS["fp16"].difference)
        assert np.abs(rounded["anomaly_map"] - exact["anomaly_map"]).max() > 1e-6


def test_the_emulation_rounds_what_goes_in_and_what_comes_out_and_adds_up_in_fp32(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(64, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    path = tmp_path / "graph.onnx"
    onnx.save(linear_graph(weight, bias), path)
    image, text = rng.integers(0, 256, (1, 1, 1, 64), np.uint8), rng.normal(size=(1, 1, 3)).astype(np.float32)
    with emulated(halved(path, tmp_path)) as copy, open_backend("onnxruntime", copy) as backend:
        found = backend.run({"image": image, "text_features": text})["score"]
    assert [file.name for file in tmp_path.glob("*emulated*")] == []
    product = (image.reshape(1, 1, 64).astype(np.float32) @ weight.astype(np.float16).astype(np.float32)).astype("f2")
    embedding = (product.astype(np.float32) + bias.astype(np.float16)).astype(np.float16)
    np.testing.assert_allclose(found, embedding.astype(np.float32) * text, rtol=1e-3)  # one rounding step apart at most
    assert np.median(np.abs(found / (embedding.astype(np.float32) * text) - 1)) < 1e-6


def test_a_weight_outside_the_range_is_refused_by_its_name() -> None:
    model = ir.from_proto(linear_graph(np.full((8, 2), 7e4, np.float32), np.zeros(2, np.float32)))
    with pytest.raises(ExportError, match=r"weight holds 7e\+04, fp16 ends at 65504: .* take fp32"):
        halve(model)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino", None])
@pytest.mark.parametrize("command", ["run", "verify", "bench", "recipe"])
def test_no_engine_for_cpus_is_given_an_fp16_graph(
    half_bundle: Bundle, command: str, backend: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    bundle = shutil.copytree(half_bundle.path, tmp_path / "copy.bundle")
    image = tmp_path / "part.png"
    draw_part(image)
    others = {"run": [str(image)], "recipe": ["new", "--like", "metal nut", "--references", str(image)]}
    engine = [] if backend is None else ["--backend", backend]
    assert main([command, str(bundle), *others.get(command, []), *engine]) == 1
    error = capsys.readouterr().err
    assert "fp16 graph on the CPU: export with --precision fp32" in error
    assert error.count("\n") == 1


def draw_part(path: Path) -> None:
    Image.fromarray(check_images(240, 1)[0]).save(path)
