"""A folder that a camera writes to, and a place for results."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipspect.bundle.manifest import RECIPES
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from support import handmade
from support.mosquitto import Mosquitto

MEMORY = Path("/dev/shm")
LIMITS = {"strict": Limits(review=10 / 255, reject=20 / 255), "lenient": Limits(review=200 / 255, reject=220 / 255)}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be had: each line is waited for until it is on the disk, and there are thousands."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="clipspect-", dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def folder(place: Path) -> Path:
    (place / "camera").mkdir()
    return place / "camera"


@pytest.fixture
def out(place: Path) -> Path:
    return place / "results"


@pytest.fixture
def bundle(tiny_bundle: Path) -> Path:
    """With two recipes beside its own."""
    for name, limits in LIMITS.items():
        write_recipe(tiny_bundle / RECIPES / f"{name}.safetensors", handmade.make_recipe(name, limits=limits))
    return tiny_bundle


@pytest.fixture
def folders(place: Path) -> dict[str, Path]:
    found = {name: place / name for name in ("top", "side")}
    for folder in found.values():
        folder.mkdir()
    return found


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto") as mosquitto:
        yield mosquitto
