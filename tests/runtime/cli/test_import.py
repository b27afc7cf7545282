"""The runtime stays light: what `import clipspect` and a first inspection load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import clipspect

HEAVY = ("torch", "open_clip", "onnx", "onnxruntime", "openvino", "tensorrt", "tqdm", "argparse", "PIL", "scipy")


def modules_after(code: str) -> set[str]:
    program = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_clipspect_loads_no_torch_engine_or_command_line_library() -> None:
    assert modules_after("import clipspect").isdisjoint(HEAVY)


def test_importing_clipspect_takes_less_than_a_fifth_of_a_second_of_cpu_time() -> None:
    code = "import time; t = time.process_time(); import clipspect; print(time.process_time() - t)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    assert min(float(run.stdout) for run in runs) < 0.2


def test_inspecting_an_image_loads_no_torch_and_prints_nothing(tiny_bundle: Path, image_folder: Path) -> None:
    image = image_folder / "part9.png"
    code = f"import clipspect; clipspect.load({str(tiny_bundle)!r}, backend='onnxruntime').inspect({str(image)!r})"
    assert modules_after(code).isdisjoint({"torch", "open_clip", "onnx", "openvino", "tqdm", "argparse", "scipy"})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_openvino_loads_no_torch_and_prints_nothing(tiny_bundle: Path, image_folder: Path) -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    image = image_folder / "part9.png"
    code = f"import clipspect; clipspect.load({str(tiny_bundle)!r}, backend='openvino').inspect({str(image)!r})"
    assert modules_after(code).isdisjoint({"torch", "open_clip", "onnxruntime", "tqdm", "scipy"})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_building_the_command_line_loads_no_torch_or_engine() -> None:
    modules = modules_after("from clipspect.cli import build_parser; build_parser()")
    assert modules.isdisjoint({"torch", "open_clip", "onnx", "onnxruntime", "openvino"})


def test_every_public_name_can_be_had_and_listed() -> None:
    assert all(getattr(clipspect, name) is not None for name in clipspect.__all__)
    assert sorted(dir(clipspect)) == sorted(clipspect.__all__)


def test_a_name_that_clipspect_has_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="lode"):
        clipspect.lode  # noqa: B018
