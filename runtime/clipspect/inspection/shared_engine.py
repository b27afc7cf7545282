"""A bundle's graphs in one engine, which several inspectors share: products, cameras and threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import BackendError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.precision import open_graph
from clipspect.engines import Backend, Tensors
from clipspect.engines.graph import IMAGE, Graph
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.shelf import serving


@dataclass(frozen=True, eq=False)
class Serving:
    """A recipe, and the opened graph that takes it."""

    recipe: Recipe
    backend: Backend
    map_range: tuple[float, float]  # that the anomaly map can take

    def run(self, pixels: npt.NDArray[np.uint8], outputs: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
        """These outputs for images (N, H, W, 3), any number of them. Raises BackendError."""
        most = self.backend.most_images or len(pixels)
        answers = [
            self.backend.run_finite({IMAGE: pixels[first : first + most], **self.recipe.tensors}, outputs)
            for first in range(0, len(pixels), most)
        ]
        if len(answers) == 1:
            return answers[0]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in outputs}


class SharedEngine:
    """Opens each graph of the bundle when a recipe first needs it, all in the engine that the first one chose.

    Inspectors hold it, and it closes with the last of them. Any thread may call.
    """

    def __init__(self, bundle: Bundle, recipe: Recipe, backend: str | None, options: dict[str, Any]) -> None:
        """Raises RecipeError for a recipe that no graph of the bundle takes, BackendError."""
        self.bundle = bundle
        self.free = threading.Lock()  # whoever runs a graph holds it: an engine runs one batch at a time
        self._name, self._options = backend, options
        self._backends: dict[str, Backend] = {}  # by the graph's file
        self._changing = threading.Lock()  # of what is open, and of who holds it
        self._holders = 0
        self._closed = False
        graph = serving(bundle, recipe)
        self.first = self._backends[graph.file] = self._open(graph, recipe)
        self._name, self._options = self.first.name, {**options, "device": self.first.device}  # the others follow it

    def serve(self, recipe: Recipe, extras: Sequence[str] = ()) -> Serving:
        """Open the graph that takes the recipe, if it is not open.

        Raises RecipeError for a recipe that none takes; BackendError, also where the graph has not all `extras`.
        """
        graph = serving(self.bundle, recipe)
        if missing := [name for name in extras if name not in graph.outputs]:
            raise BackendError(f"{graph.file} has no output {missing[0]!r}; there are: {', '.join(graph.outputs)}")
        with self._changing:
            if self._closed:
                raise BackendError("the inspector is closed: load the bundle again")
            if graph.file not in self._backends:
                self._backends[graph.file] = self._open(graph, recipe)
            return Serving(recipe, self._backends[graph.file], graph.map_range)

    def hold(self) -> None:
        """One more inspector uses it."""
        with self._changing:
            self._holders += 1

    def release(self) -> None:
        """One inspector less; with the last one the engine closes, and a run that is under way is waited for."""
        with self._changing:
            self._holders -= 1
            if self._holders > 0:
                return
            self._closed = True
            with self.free:
                for backend in self._backends.values():
                    backend.close()

    def _open(self, graph: Graph, recipe: Recipe) -> Backend:
        image = self.bundle.manifest.image
        blank = np.zeros((1, image.height, image.width, 3), np.uint8)
        probe: Tensors = {IMAGE: blank, **recipe.tensors}
        return open_graph(self.bundle, graph, self._name, probe=probe, **self._options)
