"""Recipes' files as someone else might have written them, taken apart, and what is said of those refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipspect.base.errors import RecipeError
from clipspect.recipes.recipe import read_recipe
from clipspect.recipes.recipe_file import pack


def hostile(path: Path, tensors: dict[str, Any] | None = None, **changes: object) -> None:
    """A recipe file whose digest fits whatever is in it."""
    if tensors is None:
        tensors = {"text_features": np.ones((2, 1, 4), np.float32)}
    document: dict[str, Any] = {"name": path.stem, "method": "winclip", "object": "x", "encoder_sha256": "e" * 64}
    path.write_bytes(pack({**document, **changes}, tensors)[1])


def in_parts(path: Path) -> tuple[dict[str, Any], str, bytes]:
    """Header, document and tensor buffer of a recipe file."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return header, header["__metadata__"]["clipspect"].split("\n", 1)[1], data[8 + length :]


def refusal(path: Path) -> str:
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)
