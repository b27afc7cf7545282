"""The registry of engines: what is said of untried devices, and engines that other packages bring."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clipspect.cli import doctor
from clipspect.engines import registry
from clipspect.engines.engine import EXPERIMENTAL, GROUP
from support import handmade

README = Path(__file__).parents[3] / "README.md"
INFO = "clipspect_reference-1.0.dist-info"

ENGINE = '''
"""An engine of somebody else's: ONNX's own reference implementation."""

from dataclasses import dataclass

import onnx
from onnx.reference import ReferenceEvaluator

from clipspect.engines import Backend, Probe
from clipspect.engines.graph import Signature, TensorSpec


@dataclass(frozen=True)
class Options:
    device: str = "cpu"
    threads: int | None = None
    precision: str | None = None


class ReferenceBackend(Backend):
    name = "reference"

    def __init__(self, model, graph):
        own = Signature(specs(model.graph.input), specs(model.graph.output))
        super().__init__(own, graph, device="cpu", precision="fp32")
        self._evaluator = ReferenceEvaluator(model)

    def _run(self, inputs, outputs):
        return dict(zip(outputs, self._evaluator.run(list(outputs), dict(inputs))))

    def _close(self):
        del self._evaluator


def specs(tensors):
    return {
        tensor.name: TensorSpec(onnx.helper.tensor_dtype_to_np_dtype(tensor.type.tensor_type.elem_type).name, ())
        for tensor in tensors
    }


def open_session(path, precision, options, example=None, graph=None):
    return ReferenceBackend(onnx.load(path), graph)


def devices():
    return ["cpu"]


def probe(path, inputs):
    with open_session(path, "fp32", Options()) as backend:
        backend.run(inputs)
    return [Probe("cpu", True, "ran")]
'''


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment of a Python in which the package is installed, as a wheel leaves it."""
    site = tmp_path / "site"
    for name, text in {
        "reference_engine/__init__.py": ENGINE,
        f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: clipspect-reference\nVersion: 1.0\n",
        f"{INFO}/entry_points.txt": f"[{GROUP}]\nreference = reference_engine\nopenvino = reference_engine\n",
    }.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}


def clipspect(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clipspect", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_an_engine_of_another_package_scores_by_its_name_and_replaces_none_of_ours(
    installed: dict[str, str], tmp_path: Path, image_folder: Path
) -> None:
    bundle = handmade.write_bundle(tmp_path / "b")
    rows = {}
    for engine in ("reference", "openvino", "onnxruntime"):
        done = clipspect(installed, "run", bundle, image_folder / "part9.png", "--backend", engine, "--json")
        assert done.returncode == 0, done.stderr
        rows[engine] = json.loads(done.stdout.splitlines()[0])
    assert rows["reference"]["score"] == pytest.approx(rows["onnxruntime"]["score"], abs=1e-6)
    report = json.loads(clipspect(installed, "doctor", "--json").stdout)
    engines = {engine["name"]: engine for engine in report["engines"]}
    assert list(engines) == ["onnxruntime", "openvino", "tensorrt", "triton", "reference"]
    assert engines["reference"]["scores_on"] == "cpu"
    assert engines["openvino"]["version"] is not None


def test_an_engine_of_another_package_that_does_not_load_says_what_to_install_again(
    installed: dict[str, str], tmp_path: Path, image_folder: Path
) -> None:
    bundle = handmade.write_bundle(tmp_path / "b")
    (tmp_path / "site/reference_engine/__init__.py").write_text("import not_there")
    done = clipspect(installed, "run", bundle, image_folder, "--backend", "reference")
    assert done.returncode == 1
    assert "reference is installed but does not load (No module named 'not_there')" in done.stderr
    assert "pip install clipspect-reference" in done.stderr
    assert clipspect(installed, "run", bundle, image_folder, "--backend", "onnxruntime").returncode == 0


BROKEN = {  # an engine's module, and what is said of it
    "licence": ("raise RuntimeError('none')", "licence is installed but does not load (none)"),
    "options": (ENGINE.replace("@dataclass(frozen=True)", ""), "the options backend failed (TypeError: "),
    "devices": (ENGINE.replace('["cpu"]', "1 / 0"), "the devices backend failed (ZeroDivisionError: "),
    "session": (ENGINE.replace("onnx.load(path)", "1 / 0"), "the session backend failed (ZeroDivisionError: "),
}


def test_engines_of_another_package_that_break_are_told_in_a_line_and_take_no_other_away(
    installed: dict[str, str], tmp_path: Path
) -> None:
    bundle, site = handmade.write_bundle(tmp_path / "b"), tmp_path / "site"
    for name, (module, _) in BROKEN.items():
        (site / f"{name}_engine.py").write_text(module)
    names = "".join(f"{name} = {name}_engine\n" for name in BROKEN)
    (site / INFO / "entry_points.txt").write_text(f"[{GROUP}]\n{names}")
    report = json.loads(clipspect(installed, "doctor", "--json").stdout)
    problems = {engine["name"]: engine["problem"] for engine in report["engines"]}
    code = "import sys, clipspect; print(clipspect.load(sys.argv[1]).reason)"
    done = subprocess.run(
        [sys.executable, "-c", code, bundle], env=installed, capture_output=True, text=True, check=True, timeout=120
    )
    for name, (_, said) in BROKEN.items():
        assert said in done.stdout
        assert name == "devices" or said in problems[name]  # which doctor does not ask for


def test_devices_that_nobody_has_run_say_so_wherever_they_are_named() -> None:
    caveats = {engine.name: engine.caveat for engine in registry()}
    assert caveats["onnxruntime"] == f"cuda and tensorrt: {EXPERIMENTAL}"
    assert caveats["tensorrt"] == f"cuda: {EXPERIMENTAL}"
    report = doctor.examine()
    page = doctor.page(report)
    for engine in report.engines:
        (line,) = (line for line in page.splitlines() if line.startswith(f"  {engine.name} "))
        assert engine.caveat == caveats[engine.name]
        assert line.endswith(engine.caveat)
    assert EXPERIMENTAL in " ".join(README.read_text(encoding="utf-8").split())
