"""Data sets that several tests evaluate on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from clipspect.bundle.bundle import Bundle
from support import drawn_datasets, handmade

VISA_SIZES = {"candle": (40, 30), "pcb1": (24, 36)}


@pytest.fixture
def mvtec(tmp_path: Path) -> Path:
    return drawn_datasets.write_mvtec(tmp_path / "mvtec", ["metal_nut", "cable"])


@pytest.fixture
def visa(tmp_path: Path) -> Path:
    return drawn_datasets.write_visa(tmp_path / "visa", VISA_SIZES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return drawn_datasets.write_folder(tmp_path / "folder")


@pytest.fixture
def dim_bundle(tmp_path: Path) -> Path:
    """Of its maps and scores the half is missing."""
    root = handmade.write_bundle(tmp_path / "dim.bundle")
    model = onnx.load(root / "model.onnx")
    (scale,) = (item for item in model.graph.initializer if item.name == "scale")
    scale.CopyFrom(numpy_helper.from_array(np.float32(0.5 / 255), "scale"))
    (root / "model.onnx").write_bytes(model.SerializeToString())
    handmade.write_manifest(root, Bundle.open(handmade.write_bundle(tmp_path / "like.bundle")).manifest)
    return root
