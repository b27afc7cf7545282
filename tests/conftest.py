"""Shared fixtures."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from PIL import Image

from support import handmade

# A shell that starts us in the background has interrupts ignored, and the programs under test would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Path:
    return handmade.write_bundle(tmp_path / "tiny.bundle")


@pytest.fixture
def full_bundle(tmp_path: Path) -> Path:
    """With a few-shot graph, a text encoder and check images."""
    return handmade.write_full_bundle(tmp_path / "full.bundle")


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """part9.png, part10.png and a same-named image in a subfolder."""
    folder = tmp_path / "images"
    (folder / "more").mkdir(parents=True)
    for name in ("part9.png", "part10.png", "more/part9.png"):
        Image.fromarray(handmade.spotted()).save(folder / name)
    return folder
