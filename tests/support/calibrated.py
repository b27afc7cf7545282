"""Recipes whose limits say what calibrated them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from clipspect import Bundle, Limits
from clipspect.recipes.calibration import Calibration, PartScore, Scorer
from clipspect.recipes.recipe import write_recipe
from support import handmade


def calibrate_object(root: Path, limits: Limits, backend: str = "onnxruntime", bundle: str | None = None) -> None:
    """Give a handmade bundle's recipe `object` limits that this backend, and this bundle's digest, calibrated."""
    recipe = handmade.make_recipe(limits=limits)
    digest = Bundle.open(root).digest if bundle is None else bundle
    scorer = Scorer(digest, recipe.tensors_digest, backend, "cpu", "fp32", "0")
    calibration = Calibration("2026-11-27T12:00:00+00:00", scorer, (PartScore("1.png", 0.6, 0.5),))
    write_recipe(root / "recipes/object.safetensors", dataclasses.replace(recipe, calibration=calibration))
