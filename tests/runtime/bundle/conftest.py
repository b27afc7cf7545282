"""Keys to sign with."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipspect.bundle.signature import make_keys


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A pair: private, public."""
    made = tmp_path / "key.pem", tmp_path / "key.public.pem"
    make_keys(*made)
    return made
