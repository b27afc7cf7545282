"""The int8 copy: what is in int8, that both engines for CPUs run it, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto

import clipspect
from clipspect.base.errors import BundleError
from clipspect.bundle.bundle import Bundle
from clipspect.cli import main
from clipspect.engines import open_backend
from clipspect.frame.spec import ImageSpec
from clipspect_export.precision.calibration import measure_ranges
from clipspect_export.precision.int8_copy import read_calibration
from clipspect_export.precision.quantize import Scheme, quantize
from clipspect_models import DEMO_IMAGES
from support.exports import demo_command
from support.precision_cases import linear_graph

ENGINES = ["onnxruntime", "openvino"]
PART = DEMO_IMAGES / "gear-burn.jpg"
LINEAR_LAYERS = 6 * 6  # of the demo model's blocks: query, key, value, out, fc, proj


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    pytest.importorskip(name, reason=f"needs {name}: pip install {name}")
    return name


def test_the_linear_layers_are_in_int8_and_nothing_else(int8_bundle: Bundle) -> None:
    copy = int8_bundle.manifest.int8
    assert copy is not None
    assert copy.graphs == {"model.onnx": "model.int8.onnx", "fewshot.onnx": "fewshot.int8.onnx"}
    for own, derived in copy.graphs.items():
        exact, model = (onnx.load(int8_bundle.path / file, load_external_data=False) for file in (own, derived))
        made_by = {name: node for node in model.graph.node for name in node.output}
        stored = {item.name: item.data_type for item in model.graph.initializer}
        sources = [[made_by.get(name) for name in node.input] for node in model.graph.node if node.op_type == "MatMul"]
        in_int8 = [pair for pair in sources if all(node and node.op_type == "DequantizeLinear" for node in pair)]
        assert len(in_int8) == LINEAR_LAYERS
        assert all(stored[weight.input[0]] == TensorProto.INT8 for _, weight in in_int8 if weight)
        assert sum(node.op_type == "MatMul" for node in exact.graph.node) == len(sources)
        onnx.checker.check_model(str(int8_bundle.path / derived), full_check=True)


def test_the_copies_share_one_file_a_quarter_as_large_and_all_is_hashed(int8_bundle: Bundle) -> None:
    files = int8_bundle.manifest.files
    assert files["model.int8.onnx.data"].size < 0.27 * files["model.onnx.data"].size
    assert "fewshot.int8.onnx.data" not in files
    assert {"model.int8.onnx", "fewshot.int8.onnx"} <= files.keys()
    leftovers = (
        {path.name for path in int8_bundle.path.iterdir()}
        - files.keys()
        - {"bundle.json", "bundle.json.sha256", "recipes"}
    )
    assert leftovers == set()


def test_both_engines_inspect_and_verify_in_int8(
    int8_bundle: Bundle, engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    int8 = ["--backend", engine, "--precision", "int8"]
    assert main(["run", str(int8_bundle.path), str(PART), *int8]) == 0
    assert f"{engine} on cpu in int8" in capsys.readouterr().err
    assert main(["verify", str(int8_bundle.path), *int8]) == 0
    assert "(int8)" in capsys.readouterr().out


def test_the_answers_in_int8_are_near_those_in_fp32_and_not_they(int8_bundle: Bundle, engine: str) -> None:
    with clipspect.load(int8_bundle.path, backend=engine) as inspector:
        exact = inspector.inspect(PART)
        assert inspector.precision == "fp32"
    with clipspect.load(int8_bundle.path, backend=engine, precision="int8") as inspector:
        rounded = inspector.inspect(PART)
        assert inspector.precision == "int8"
    difference = np.abs(rounded.anomaly_map - exact.anomaly_map).max()
    assert 1e-5 < difference < 0.05


def test_recipes_of_photos_are_made_and_used_in_int8(
    int8_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = shutil.copytree(int8_bundle.path, tmp_path / "copy.bundle")
    good = [str(DEMO_IMAGES / f"gear-{kind}-good.jpg") for kind in ("burn", "chip")]
    int8 = ["--backend", "onnxruntime", "--precision", "int8"]
    assert main(["recipe", str(bundle), "gear", "--like", "object", "--references", *good, *int8]) == 0
    assert main(["run", str(bundle), str(PART), "--recipe", "gear", *int8]) == 0
    assert "in int8" in capsys.readouterr().err


def test_smoothing_saves_what_one_loud_channel_costs_the_others(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(32, 8)).astype(np.float32), np.zeros(8, np.float32)
    gain = np.ones(32, np.float32)
    gain[5], weight[5] = 300, weight[5] / 300
    path, text = tmp_path / "graph.onnx", np.ones((1, 1, 8), np.float32)
    onnx.save(linear_graph(weight, bias, gain), path)
    images = [rng.integers(0, 256, (4, 4, 32), np.uint8) for _ in range(3)]
    ranges = measure_ranges(path, images)
    with open_backend("onnxruntime", path) as backend:
        exact = backend.run({"image": images[0][None], "text_features": text})["score"]
    errors = []
    for smoothing in (0.0, 0.5):
        model = ir.load(path)
        quantize(model, ranges, Scheme(smoothing=smoothing))
        ir.save(model, tmp_path / "int8.onnx")
        with open_backend("onnxruntime", tmp_path / "int8.onnx", graph_precision="int8") as backend:
            errors.append(
                np.abs(backend.run({"image": images[0][None], "text_features": text})["score"] - exact).mean()
            )
    assert errors[1] < errors[0] / 5
    assert errors[1] < 0.02 * np.abs(exact).mean()


def test_a_bundle_without_a_copy_says_how_to_get_one(engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "demo", str(PART), "--backend", engine, "--precision", "int8"]) == 1
    error = capsys.readouterr().err
    assert "no int8 copy of model.onnx: export it again with --int8" in error
    assert error.count("\n") == 1


def test_a_changed_copy_is_refused_before_an_engine_sees_it(int8_bundle: Bundle, tmp_path: Path) -> None:
    bundle = shutil.copytree(int8_bundle.path, tmp_path / "copy.bundle")
    data = bundle / "model.int8.onnx.data"
    content = bytearray(data.read_bytes())
    content[1000] ^= 1
    data.write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.int8\.onnx\.data: the content does not match its hash"):
        Bundle.open(bundle)


def test_given_photos_and_folders_calibrate(tmp_path: Path) -> None:
    folder = tmp_path / "good"
    folder.mkdir()
    shutil.copy(PART, folder)
    calibration = read_calibration([folder, DEMO_IMAGES / "gear-chip.jpg"], ImageSpec(48, 64))
    assert [image.shape for image in calibration.images] == [(48, 64, 3)] * 2
    assert calibration.source == "given photos"
    assert len(read_calibration([], ImageSpec(48, 64)).images) == 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--calibration", str(PART)], "--calibration is for the int8 copy: add --int8"),
        (["--int8", "--precision", "fp16"], "fp16 is for GPUs: export two bundles"),
        (["--int8", "--calibration", "."], "--calibration .: no images here"),
        (["--int8", "--calibration", "none.png"], "--calibration: none.png: no such file"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_in_one_line(
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*demo_command(tmp_path / "x.bundle"), *options]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
