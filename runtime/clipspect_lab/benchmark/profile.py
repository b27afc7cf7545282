"""Where a run of the engine goes, by the engine's own profile: for rows that are below the share of GEMM they should
reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import BackendError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.precision import open_graph
from clipspect.engines.graph import IMAGE
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.shelf import serving

TARGETS = {"fp32": 0.95, "bf16": 0.85}  # of the same engine's large products; those of other precisions as bf16's
DEFAULT_TARGET = 0.85
_RUNS = 3
_SMALLEST = 0.002  # of the time: what takes less is told together
OTHERS = "others"


def target(precision: str) -> float:
    """The share of the engine's own GEMM that a whole graph should reach."""
    return TARGETS.get(precision, DEFAULT_TARGET)


def shares_of_time(
    bundle: Bundle, recipe: Recipe, backend: str, batch: int, options: Mapping[str, Any]
) -> dict[str, float]:
    """By kind of operator, the largest first, summing to 1; empty for an engine that has no profile."""
    spec = bundle.manifest.image
    blank = np.zeros((batch, spec.height, spec.width, 3), np.uint8)
    inputs: dict[str, npt.NDArray[Any]] = {IMAGE: blank, **recipe.tensors}
    try:
        engine = open_graph(bundle, serving(bundle, recipe), backend, probe=inputs, profile=True, **options)
    except BackendError:  # one that has no such option; whatever else is wrong was said when it was loaded before
        return {}
    with engine:
        for _ in range(_RUNS):
            engine.run(inputs)
        times = engine.profile()
    total = sum(times.values()) or 1.0
    ranked = {name: time / total for name, time in sorted(times.items(), key=lambda item: -item[1])}
    told = {name: share for name, share in ranked.items() if share >= _SMALLEST}
    return {**told, OTHERS: max(1 - sum(told.values()), 0.0)}
