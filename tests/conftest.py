"""Shared fixtures."""

from __future__ import annotations

import importlib.util
import platform
import signal
import sys
from pathlib import Path

import hypothesis
import pytest
from PIL import Image

from clipspect.bundle.bundle import Bundle
from support import handmade

# A shell that starts us in the background has interrupts ignored, and the programs under test would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Examples have no deadline: on a busy machine each takes as long as it takes, and speed is the benchmarks' to assert.
hypothesis.settings.register_profile("clipspect", deadline=None)
hypothesis.settings.load_profile("clipspect")

CPP = Path(__file__).parent / "runtime" / "cpp"
# Tests skip where a machine cannot have these; where it can, a missing one must not turn them off in silence.
ENGINES = ["onnxruntime", "openvino"]
if sys.platform == "linux" and platform.machine() == "x86_64":
    ENGINES += ["cuda", "tensorrt_rtx"]


def pytest_configure(config: pytest.Config) -> None:
    missing = [name for name in ENGINES if importlib.util.find_spec(name) is None]
    if missing:
        raise pytest.UsageError(f"no {', '.join(missing)} here, which the tests need: pip install --editable '.[dev]'")


@pytest.hookimpl(tryfirst=True)  # before those that are not asked for are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The C++ programs are built with sanitizers, which takes minutes."""
    for item in items:
        if item.path.is_relative_to(CPP):
            item.add_marker("slow")


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Path:
    """A bundle that opens: what a test then spoils is the only thing that is wrong with it."""
    root = handmade.write_bundle(tmp_path / "tiny.bundle")
    Bundle.open(root)
    return root


@pytest.fixture
def full_bundle(tmp_path: Path) -> Path:
    """With a few-shot graph, a text encoder and check images."""
    root = handmade.write_full_bundle(tmp_path / "full.bundle")
    Bundle.open(root)
    return root


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """part9.png, part10.png and a same-named image in a subfolder."""
    folder = tmp_path / "images"
    (folder / "more").mkdir(parents=True)
    for name in ("part9.png", "part10.png", "more/part9.png"):
        Image.fromarray(handmade.spotted()).save(folder / name)
    return folder
