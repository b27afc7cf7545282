"""Photographs of good parts, as the commands are given them."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.grey_parts import grey


@pytest.fixture
def good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder has good/ with 40 photographs of scores 20/255 to 59/255, and bad/ with two."""
    for number in range(40):
        grey(tmp_path / f"good/lot {number % 25}/{number:02}.png", 20 + number)
    for number, value in enumerate((61, 75)):
        grey(tmp_path / f"bad/{number}.png", value)
    monkeypatch.chdir(tmp_path)
    return Path("good")
