"""A bundle whose scores the tests choose: the brightest pixel of a photograph, from 0 to 1."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from clipspect import Limits
from clipspect.recipes.recipe import write_recipe
from support import handmade


@pytest.fixture
def limited_bundle(tmp_path: Path) -> Path:
    """Its recipe has limits: review 0.4, reject 0.6."""
    root = handmade.write_bundle(tmp_path / "limited.bundle")
    recipe = dataclasses.replace(handmade.make_recipe(), limits=Limits(0.4, 0.6))
    write_recipe(root / "recipes/object.safetensors", recipe)
    return root
