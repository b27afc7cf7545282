"""A bundle's graphs in one engine, which several inspectors share: products, cameras and threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import BackendError, UnreachableError
from clipspect.base.fair_lock import FairLock
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.inspection_graph import InspectionGraph
from clipspect.bundle.precision import open_graph
from clipspect.engines import CPU, Backend, Tensors
from clipspect.engines.graph import ANOMALY_MAP, BOTH, IMAGE, PHOTOS, SCORE, WORDS, WORDS_MAP, WORDS_SCORE, Graph
from clipspect.inspection.window_use import WindowUse, require_possible, wants_windows
from clipspect.inspection.windows import PATCH_VALUES, WORK, WindowsEngine, every_window
from clipspect.recipes.galleries import blank_references
from clipspect.recipes.guard import limits_in_use
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.shelf import serving

_WORDS_ALONE = {SCORE: WORDS_SCORE, ANOMALY_MAP: WORDS_MAP}  # outputs of the graph of words in that for references

Outputs = dict[str, npt.NDArray[Any]]
# Called with the error where an engine's server does not answer, in the thread that runs the engine: whether to try
# again. Called with None when it answers again.
Retry = Callable[["UnreachableError | None"], bool]


@dataclass(frozen=True, eq=False)
class Serving:
    """A recipe, the graph that takes it, and the limits that judge what comes out."""

    recipe: Recipe
    graph: InspectionGraph
    limits: Limits | None


class SharedEngine:
    """Opens each graph of the bundle when a recipe first needs it, all in the engine that the first one chose.

    The graph for references also says what the words alone say. Where it is open, recipes of words need no other: the
    weights are in memory once. So it is with the graph of windows on demand: where it is open, it serves all recipes
    that read words. Inspectors hold the engine, and it closes with the last of them. Any thread may call.
    """

    def __init__(
        self,
        bundle: Bundle,
        recipe: Recipe,
        backend: str | None,
        options: dict[str, Any],
        windows: bool | None = None,
    ) -> None:
        """`windows`: on demand always, never, or, None, where a recipe asks for it or saves by it.

        Raises RecipeError for a recipe that no graph of the bundle takes, BackendError.
        """
        self.bundle = bundle
        self.free = FairLock()  # whoever runs a graph holds it: an engine runs one batch at a time
        self.running_since: float | None = None  # monotonic seconds; None between two runs
        self.finished_at = monotonic()  # the last run; when it was opened, before the first
        self._windows = windows
        self._on_demand: WindowsEngine | None = None
        self._name, self._options = backend, options
        self._backends: dict[str, Backend] = {}  # by the graph's file
        self.retry: Retry = lambda error: False  # while the engine's server does not answer
        self._changing = threading.Lock()  # of what is open, and of who holds it
        self._holders = 0
        self._closed = False
        graph = serving(bundle, recipe)
        if wants_windows(bundle, recipe, backend, options.get("device", CPU), windows):
            self._options = {**options, "device": CPU}
            self.first = self._open_windows()
        else:
            self.first = self._backends[graph.file] = self._open(graph, recipe.tensors)
        self._name, self._options = self.first.name, {**options, "device": self.first.device}  # the others follow it

    def serve(self, recipe: Recipe, extras: Sequence[str] = (), *, verdicts: bool = True) -> Serving:
        """Open the graph that takes the recipe, if nothing that is open does. Without `verdicts` nothing is judged.

        Raises RecipeError for a recipe that none takes, or whose limits say nothing of this engine; BundleError where
        the bundle's files were changed since they were verified; BackendError, also where the graph has not all
        `extras`.
        """
        self.first.require_own_process()
        graph = serving(self.bundle, recipe)
        first = self.first
        if self._on_demand is None:
            on_demand = wants_windows(self.bundle, recipe, first.name, first.device, self._windows)
        else:
            require_possible(self.bundle, recipe, first.name, first.device)
            on_demand = True
        known = [*graph.outputs, *((PATCH_VALUES, WORK) if on_demand and recipe.judge != PHOTOS else ())]
        if missing := [name for name in extras if name not in known]:
            raise BackendError(f"{graph.file} has no output {missing[0]!r}; there are: {', '.join(known)}")
        limits = (
            limits_in_use(recipe, self.bundle, graph, first.name, first.device, first.precision) if verdicts else None
        )
        with self._changing:
            if self._closed:
                raise BackendError("the inspector is closed: load the bundle again")
            if on_demand and self._on_demand is None:
                self.bundle.require_unchanged()
                self._open_windows()
                self._close_what_is_not_needed()
            if not self._is_served(recipe, graph):
                self.bundle.require_unchanged()
                self._backends[graph.file] = self._open(graph, recipe.tensors)
                self._close_what_is_not_needed()
        return Serving(recipe, graph, limits)

    def run(
        self,
        serving: Serving,
        pixels: npt.NDArray[np.uint8],
        outputs: Sequence[str],
        use: WindowUse | None = None,
    ) -> Outputs:
        """These outputs for images (N, H, W, 3), any number of them, not yet known to be finite; the caller holds
        `free`. Windows on demand are those of `use`, by default all that the recipe asks for. Raises BackendError.
        """
        away = False
        while True:
            try:
                found = self._once(serving, pixels, outputs, use)
            except UnreachableError as error:
                if not self.retry(error):
                    raise
                away = True
                continue
            if away:
                self.retry(None)
            return found

    def _once(
        self, serving: Serving, pixels: npt.NDArray[np.uint8], outputs: Sequence[str], use: WindowUse | None
    ) -> Outputs:
        self.running_since = monotonic()
        try:
            if self._on_demand is not None and serving.recipe.judge != PHOTOS:
                needed = None if use is None else use.needed(self._on_demand.layout)
                kept = None if use is None else use.kept(self._on_demand.layout)
                return self._on_demand.on_demand(pixels, serving.recipe, outputs, needed, kept)
            return self._answered(serving, pixels, outputs)
        finally:
            self.running_since, self.finished_at = None, monotonic()

    def _answered(self, serving: Serving, pixels: npt.NDArray[np.uint8], outputs: Sequence[str]) -> Outputs:
        backend = self._backends.get(serving.graph.file)
        if backend is not None:
            return _in_batches(backend, pixels, serving.recipe.tensors, outputs)
        stand_in = self._stand_in()
        if stand_in is None:
            raise BackendError("the inspector is closed: load the bundle again")
        backend, blank = stand_in
        names = [_WORDS_ALONE.get(name, name) for name in outputs]
        answer = _in_batches(backend, pixels, {**blank, **serving.recipe.tensors}, names)
        return {name: answer[own] for name, own in zip(outputs, names)}

    def require_usable(self) -> None:
        """Raises BackendError where it is closed, or this process is not the one that opened it."""
        for backend in list(self._backends.values()):
            backend.require_usable()

    @property
    def is_forked(self) -> bool:
        """Whether this process was forked from the one that opened it."""
        return self.first.is_forked

    def hold(self) -> None:
        """One more inspector uses it."""
        with self._changing:
            self._holders += 1

    def release(self) -> None:
        """One inspector less; with the last one the engine closes, and a run that is under way is waited for.

        In a forked process this does nothing.
        """
        if self.is_forked:
            return
        with self._changing:
            self._holders -= 1
            if self._holders > 0:
                return
            self._closed = True
            with self.free:
                for backend in self._backends.values():
                    backend.close()

    def _stand_in(self) -> tuple[Backend, Tensors] | None:
        """The graph for references, where it is open and also says what the words alone say; and blank references."""
        both = self.bundle.manifest.graphs.get(BOTH)
        if both is None or not set(_WORDS_ALONE.values()) <= set(both.outputs):
            return None
        backend = self._backends.get(both.file)
        return None if backend is None else (backend, blank_references(both))

    def _is_served(self, recipe: Recipe, graph: InspectionGraph) -> bool:
        """Whether what is open takes the recipe."""
        if graph.file in self._backends or (self._on_demand is not None and recipe.judge != PHOTOS):
            return True
        return recipe.judge == WORDS and self._stand_in() is not None

    def _close_what_is_not_needed(self) -> None:
        """Graphs that another one stands in for: their weights would be in memory twice."""
        graphs = self.bundle.manifest.graphs
        needless = [WORDS] if self._stand_in() is not None else []
        if self._on_demand is not None:
            needless = [WORDS, BOTH]
        for role in needless:
            if role in graphs and graphs[role].file in self._backends:
                with self.free:
                    self._backends.pop(graphs[role].file).close()

    def _open(self, graph: Graph, tensors: Tensors) -> Backend:
        image = self.bundle.manifest.image
        blank = np.zeros((1, image.height, image.width, 3), np.uint8)
        return open_graph(self.bundle, graph, self._name, probe={IMAGE: blank, **tensors}, **self._options)

    def _open_windows(self) -> Backend:
        graph, image = self.bundle.manifest.windows, self.bundle.manifest.image
        assert graph is not None
        backend = self._backends[graph.file] = self._open(graph, every_window(graph, image))
        self._on_demand = WindowsEngine(backend, graph, image)
        return backend


def _in_batches(backend: Backend, pixels: npt.NDArray[np.uint8], others: Tensors, outputs: Sequence[str]) -> Outputs:
    """Of as many images as the engine takes at once."""
    most = backend.most_images or len(pixels)
    answers = [
        backend.run({IMAGE: pixels[first : first + most], **others}, outputs) for first in range(0, len(pixels), most)
    ]
    if len(answers) == 1:
        return answers[0]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in outputs}
