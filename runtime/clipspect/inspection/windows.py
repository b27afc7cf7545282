"""WinCLIP's graph of windows on demand in an engine: it answers what the graphs that it stands in for would answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import BackendError
from clipspect.bundle.windows_graph import FEATURES_OF_PATCHES, WindowsGraph
from clipspect.engines import Backend, Tensors
from clipspect.engines.backend import Arrays
from clipspect.engines.graph import (
    ANOMALY_MAP,
    CHOSEN_WINDOWS,
    FEATURES,
    IMAGE,
    IMAGE_EMBEDDING,
    REFERENCE,
    SCORE,
    TEXT_FEATURES,
    WINDOW_EMBEDDINGS,
    WORDS_MAP,
    WORDS_SCORE,
)
from clipspect.frame.spec import ImageSpec
from clipspect.inspection.cascade import Encode, cascaded
from clipspect.inspection.window_layout import Bools, Chosen, layout_of_graph
from clipspect.inspection.window_reuse import KeptWindows
from clipspect.inspection.window_scores import Embedded, Scored, by_words, by_words_and_references
from clipspect.recipes.recipe import Recipe

# Outputs that no graph has: the values of the patches (N, rows, columns), and the share of an image's tokens that was
# encoded (N,), of which every window is 1.
PATCH_VALUES, WORK = "patch_values", "work"

_MOST_EXACT = 8  # combinations of lengths for which an engine may keep memory

Pixels = npt.NDArray[np.uint8]


class WindowsEngine:
    """Encodes the windows that it is asked for, and makes scores and maps of them. It closes nothing."""

    def __init__(self, backend: Backend, graph: WindowsGraph, image: ImageSpec) -> None:
        self.backend, self.graph = backend, graph
        self.most_images = backend.most_images
        self._exact: set[tuple[int, ...]] = set()  # numbers of images and windows that are asked for as they are
        self.rows = [f"{FEATURES}{CHOSEN_WINDOWS}{scale}" for scale in graph.scales]  # outputs: of all windows
        self.layout = layout_of_graph(graph, image)

    def run(self, inputs: Tensors, outputs: Sequence[str] | None = None) -> Arrays:
        """What the graph of words, or with references that for both, answers to these inputs: of every window.

        Raises BackendError.
        """
        pixels = inputs[IMAGE]
        tensors = {name: value for name, value in inputs.items() if name != IMAGE}
        embedded = self.encode(pixels, self.layout.all(len(pixels)), patches=compares(tensors))
        return self.answer(embedded, tensors, outputs)

    def run_finite(self, inputs: Tensors, outputs: Sequence[str] | None = None) -> Arrays:
        """As `run`, for answers that are used: raises BackendError for NaN and infinity, too."""
        return self.backend.require_finite(self.run(inputs, outputs))

    def encode(self, pixels: Pixels, chosen: Chosen, *, patches: bool = False) -> Embedded:
        """Images (N, H, W, 3) and of each scale which of their windows (N, windows), with the images' own `patches`
        where references are to be compared. Raises BackendError.
        """
        inputs: dict[str, npt.NDArray[Any]] = {IMAGE: pixels}
        places = [np.nonzero(own) for own in chosen]
        step = self._step((len(pixels), *(len(windows) for _, windows in places)))
        for scale, own, (images, windows) in zip(self.layout.scales, chosen, places):
            tokens = scale.tokens[windows] + (images * (1 + self.graph.patches))[:, None]
            inputs[f"{CHOSEN_WINDOWS}{scale.side}"] = _padded(tokens, step, own.size)
        names = [IMAGE_EMBEDDING, *(f"{WINDOW_EMBEDDINGS}{scale.side}" for scale in self.layout.scales)]
        answer = self.backend.run(inputs, [*names, FEATURES_OF_PATCHES] if patches else names)
        rows = []
        for name, own, (images, windows) in zip(names[1:], chosen, places):
            embeddings = np.zeros((*own.shape, answer[name].shape[-1]), np.float32)
            embeddings[images, windows] = answer[name][: len(images)]
            rows.append(embeddings)
        work = self.layout.share(chosen)
        return Embedded(answer[IMAGE_EMBEDDING], rows, chosen, answer.get(FEATURES_OF_PATCHES), work=work)

    def words(self, embedded: Embedded, tensors: Tensors) -> Scored:
        """What the words alone say."""
        return by_words(self.graph, self.layout, embedded, tensors[TEXT_FEATURES])

    def scored(self, embedded: Embedded, tensors: Tensors) -> Scored:
        """What the recipe of these tensors says, by words or by both."""
        words = self.words(embedded, tensors)
        if not compares(tensors):
            return words
        return by_words_and_references(self.graph, self.layout, embedded, tensors, words)

    def on_demand(
        self,
        pixels: Pixels,
        recipe: Recipe,
        outputs: Sequence[str],
        needed: Bools | None = None,
        kept: KeptWindows | None = None,
    ) -> Arrays:
        """The outputs for images (N, H, W, 3), of no more windows than the recipe asks for, and of those alone that
        cover the patches `needed` (N, rows, columns). What is `kept` of earlier frames is taken from there.

        Raises BackendError.
        """
        wanted = self.layout.all(len(pixels)) if needed is None else self.layout.covering(needed)
        encode: Encode = self.encode
        if kept is not None:
            kept.next_frames(len(pixels))
            encode = partial(kept.encode, self.encode)
        tensors, patches = recipe.tensors, compares(recipe.tensors)
        if recipe.windows is not None and recipe.windows.cascade is not None:
            cascade = recipe.windows.cascade
            embedded = cascaded(self, encode, pixels, wanted, tensors, cascade, needed, patches=patches)
        else:
            embedded = encode(pixels, wanted, patches=patches)
        answer = self.answer(
            replace(embedded, needed=needed), tensors, [name for name in outputs if name not in self.rows]
        )
        if asked := [name for name in outputs if name in self.rows]:  # whoever explains a map looks at every window
            missing = [~own for own in embedded.there]
            if any(own.any() for own in missing):
                rest = encode(pixels, missing)
                filled = [own + more for own, more in zip(embedded.windows, rest.windows)]
                embedded = replace(embedded, windows=filled)
            answer |= self.answer(embedded, tensors, asked)
        return answer

    def answer(self, embedded: Embedded, tensors: Tensors, outputs: Sequence[str] | None = None) -> Arrays:
        """Outputs by name, by default all that the static graph of these tensors has.

        Raises BackendError for a name that it has not.
        """
        names = self._outputs(tensors) if outputs is None else outputs
        words = self.words(embedded, tensors)
        found = words
        if compares(tensors):
            found = by_words_and_references(self.graph, self.layout, embedded, tensors, words)
        made: Arrays = {}
        for name in names:
            if name in (SCORE, WORDS_SCORE):
                made[name] = (found if name == SCORE else words).score.astype(np.float32)
            elif name in (ANOMALY_MAP, WORDS_MAP):
                made[name] = self.layout.enlarged((found if name == ANOMALY_MAP else words).patches)
            elif name == IMAGE_EMBEDDING:
                made[name] = embedded.images
            elif name == PATCH_VALUES:
                made[name] = found.patches.astype(np.float32)
            elif name == WORK:
                made[name] = embedded.work
            else:
                made[name] = self._rows(name, embedded)
        return made

    def _outputs(self, tensors: Tensors) -> list[str]:
        names = [SCORE, ANOMALY_MAP, IMAGE_EMBEDDING, *self.rows]
        return [*names, FEATURES_OF_PATCHES, WORDS_SCORE, WORDS_MAP] if compares(tensors) else names

    def _rows(self, name: str, embedded: Embedded) -> npt.NDArray[np.float32]:
        """The images' own rows that a gallery is compared with."""
        if name == FEATURES_OF_PATCHES and embedded.patches is not None:
            return embedded.patches
        if name in self.rows:
            return embedded.windows[self.rows.index(name)]
        raise BackendError(f"{self.graph.file} has no output {name!r} for this recipe")

    def _step(self, counts: tuple[int, ...]) -> int:
        """What numbers of windows are multiples of; for the first few combinations 1: a region of interest has one."""
        if counts in self._exact or len(self._exact) < _MOST_EXACT:
            self._exact.add(counts)
            return 1
        return self.backend.length_step


def _padded(tokens: npt.NDArray[np.int64], step: int, most: int) -> npt.NDArray[np.int64]:
    """So many windows that their number is a multiple of the step, or all; those too many are class tokens."""
    missing = min(-(-len(tokens) // step) * step, most) - len(tokens)
    return np.concatenate([tokens, np.zeros((missing, tokens.shape[1]), np.int64)]) if missing > 0 else tokens


def compares(tensors: Tensors) -> bool:
    """Whether a recipe of these tensors compares with references."""
    return any(name.startswith(REFERENCE) for name in tensors)


def every_window(graph: WindowsGraph, image: ImageSpec) -> dict[str, npt.NDArray[np.int64]]:
    """The graph's inputs besides `image` for all windows of one image."""
    return {f"{CHOSEN_WINDOWS}{scale.side}": scale.tokens for scale in layout_of_graph(graph, image).scales}
