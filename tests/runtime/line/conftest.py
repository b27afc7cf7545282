"""A folder that a camera writes to, and a place for results."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.mosquitto import Mosquitto

MEMORY = Path("/dev/shm")


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
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    (tmp_path / "mosquitto").mkdir()
    mosquitto = Mosquitto(tmp_path / "mosquitto")
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()
