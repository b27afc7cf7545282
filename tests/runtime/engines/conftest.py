"""A small server of models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clipspect.recipes.triton_repository import write_triton_repository
from support.kserve import Server


@pytest.fixture
def server(tiny_bundle: Path, tmp_path: Path) -> Iterator[Server]:
    """With the tiny bundle's graph of words."""
    write_triton_repository(tiny_bundle, tmp_path / "repository")
    with Server(tmp_path / "repository") as serving:
        yield serving
