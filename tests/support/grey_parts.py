"""Grey parts whose brightness is their score, to calibrate on from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from clipspect.bundle.bundle import Bundle
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.shelf import open_recipe

RATES = ["--false-reject-rate", "10%", "--uncertain", "20 %", "--confidence", "0.9", "--backend", "onnxruntime"]


def grey(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (9, 6), value).save(path)


def grain(path: Path, value: int) -> None:
    pixels = np.random.default_rng(value).integers(value - 20, value + 20, (6, 9, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def recipe_of(bundle: Path) -> Recipe:
    return open_recipe(Bundle.open(bundle), "object")
