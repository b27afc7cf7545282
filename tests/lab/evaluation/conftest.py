"""Data sets that several tests evaluate on."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import drawn_datasets


@pytest.fixture
def mvtec(tmp_path: Path) -> Path:
    return drawn_datasets.write_mvtec(tmp_path / "mvtec", ["metal_nut", "cable"])
