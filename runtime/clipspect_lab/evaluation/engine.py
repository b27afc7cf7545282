"""The engine of an evaluation: one inspector for all classes, loaded when it is first needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipspect.base.errors import RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.precision import open_graph
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.load import load
from clipspect.recipes.recipe import Recipe
from clipspect_lab.evaluation.recipes import RecipeChoice, make, role_of
from clipspect_lab.evaluation.request import Request
from clipspect_lab.evaluation.store import Store

_NO_REGIONS = float(np.finfo(np.float32).max)  # a map limit that nothing exceeds: regions are not asked for


class EvaluationEngine:
    """Makes the recipes of the classes, and inspects with them. Close it."""

    def __init__(self, request: Request, bundle: Bundle, store: Store) -> None:
        self._request, self._bundle, self._store = request, bundle, store
        self._inspector: Inspector | None = None
        self._choice: tuple[str, dict[str, Any]] | None = None

    def inspector(self, choice: RecipeChoice, references: Sequence[Path]) -> Inspector:
        """The inspector, with a class's recipe."""
        backend, options = self._chosen()
        recipe = make(self._bundle, choice, references, backend, options)
        try:
            return self._using(recipe, backend, options)
        except RecipeError:
            if recipe.calibration is None:
                raise
        # limits that were calibrated with something else say nothing of these scores, which have figures all the same
        return self._using(dataclasses.replace(recipe, limits=None, calibration=None), backend, options)

    def close(self) -> None:
        if self._inspector is not None:
            self._inspector.close()
            self._inspector = None

    def _using(self, recipe: Recipe, backend: str, options: dict[str, Any]) -> Inspector:
        if self._inspector is None:
            self._inspector = self._loaded(recipe, backend, options)
        else:
            self._inspector.use_recipe(recipe)
        return self._inspector

    def _loaded(self, recipe: Recipe, backend: str, options: dict[str, Any]) -> Inspector:
        loaded = load(self._bundle, recipe, backend, map_limit=_NO_REGIONS, **options)
        try:
            self._store.require_engine(loaded.backend, loaded.device, loaded.precision)
        except BaseException:
            loaded.close()
            raise
        return loaded

    def _chosen(self) -> tuple[str, dict[str, Any]]:
        """The backend and its options: those asked for, else those that this evaluation began with, else the fastest.

        One choice for recipes and frames: another competition could have another winner.
        """
        if self._choice is None:
            options = dict(self._request.options)
            backend, device = self._request.backend, None
            if backend is None:
                backend, device = self._store.backend, self._store.device
            if backend is None:
                backend, device = self._fastest()
            if device is not None:
                options.setdefault("device", device)
            self._choice = backend, options
        return self._choice

    def _fastest(self) -> tuple[str, str]:
        """Backend and device, by runs of the graph that inspects."""
        graph = self._bundle.manifest.graphs[role_of(self._bundle, self._request.shots)]
        blank = {
            name: np.ones([size if isinstance(size, int) else 1 for size in spec.shape], spec.dtype)
            for name, spec in graph.inputs.items()
        }
        with open_graph(self._bundle, graph, None, probe=blank, **self._request.options) as engine:
            return engine.name, engine.device
