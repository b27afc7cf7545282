"""What WinCLIP makes of embeddings, in NumPy: score and map of an image, of all of its windows or of some.

It is the arithmetic at the end of the graphs of words and of references, in double precision. A patch has the mean of
those windows that are there of the windows that cover it; where there is none, the map is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from clipspect.bundle.windows_graph import ARITHMETIC, HARMONIC, PATCHES, WindowsGraph
from clipspect.engines import Tensors
from clipspect.engines.graph import CHOSEN_WINDOWS, REFERENCE
from clipspect.inspection.window_layout import Bools, Chosen, Floats, Layout, Scale

SMALLEST = 1e-20  # values below it count as it, as in the graphs: no inverse is infinite

Rows = npt.NDArray[np.float32]  # of length 1


@dataclass(frozen=True, eq=False)
class Embedded:
    """What the encoder says of images: rows of length 1."""

    images: Rows  # (N, D)
    windows: Sequence[Rows]  # of each scale (N, windows, D), 0 where a window is not there
    there: Chosen
    patches: Rows | None = None  # (N, L, width), of bundles that compare with references
    needed: Bools | None = None  # (N, rows, columns), the patches that count; None: all
    work: Floats = field(default_factory=lambda: np.ones(0))  # (N,), the share of an image's tokens that was encoded


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores (N,) and the values of the patches (N, rows, columns), of which `known` are made of windows."""

    score: Floats
    patches: Floats
    known: Bools


def by_words(graph: WindowsGraph, layout: Layout, embedded: Embedded, text_features: Rows) -> Scored:
    """What the graph of words answers."""
    images = probability(embedded.images, text_features, graph.temperature)  # (N,)
    windows = [probability(own, text_features, graph.temperature) for own in embedded.windows]
    inverses, known = _inverse_means(layout, windows, embedded)
    patches = fused(graph.fusion, images[:, None, None], inverses)
    score = images
    if graph.multi_crop:
        crops = np.mean([embedded.images, *(own.mean(axis=1) for own in embedded.windows)], axis=0)
        score = probability(_unit(crops), text_features, graph.temperature)
    return Scored(score, np.where(known, patches, 0), known)


def by_words_and_references(
    graph: WindowsGraph, layout: Layout, embedded: Embedded, tensors: Tensors, words: Scored
) -> Scored:
    """What the graph for references answers; `words` is what the words alone say."""
    assert embedded.patches is not None
    patches = _half_distance(embedded.patches, tensors[REFERENCE + PATCHES]).reshape(-1, *layout.grid)
    windows = [
        _half_distance(own, tensors[f"{REFERENCE}{CHOSEN_WINDOWS}{scale}"])
        for own, scale in zip(embedded.windows, graph.scales)
    ]
    inverses, known = _inverse_means(layout, windows, embedded)
    found = np.where(known, np.mean([patches, *(1 / inverses)], axis=0), 0)
    score = (words.score + found.max(axis=(1, 2))) / 2
    return Scored(score, (words.patches + found) / 2, known)


def _inverse_means(layout: Layout, values: Sequence[Floats], embedded: Embedded) -> tuple[Floats, Bools]:
    """Of each scale (S, N, rows, columns) the mean of the inverses of those windows that cover a patch, 1 where none
    is there; and the patches that count and that every scale covers."""
    means, covered = [], [] if embedded.needed is None else [embedded.needed]
    for scale, own, chosen in zip(layout.scales, values, embedded.there):
        mean, counts = inverse_mean(scale, own, chosen)
        means.append(mean)
        covered.append(counts > 0)
    return np.stack(means), np.logical_and.reduce(covered)


def inverse_mean(scale: Scale, values: Floats, chosen: Bools) -> tuple[Floats, Floats]:
    """Of windows (N, windows) for each patch (N, rows, columns) the mean of the inverses of those chosen that cover it,
    1 where there is none, and how many these are.
    """
    sums = scale.over_patches(np.where(chosen, 1 / np.maximum(values, SMALLEST), 0))
    counts = scale.over_patches(chosen.astype(np.float64))
    return np.where(counts > 0, sums, 1) / np.maximum(counts, 1), counts


def fused(fusion: str, images: Floats | float, inverses: Floats) -> Floats:
    """The value of the whole images, and of each scale (S, ...) the inverses of the patches' values, to one map."""
    if fusion == HARMONIC:
        harmonic: Floats = (1 + len(inverses)) / (1 / np.maximum(images, SMALLEST) + np.sum(inverses, axis=0))
        return harmonic
    if fusion == ARITHMETIC:
        mean: Floats = (images + np.sum(1 / inverses, axis=0)) / (1 + len(inverses))
        return mean
    largest: Floats = np.max(1 / inverses, axis=0)
    return largest


def probability(rows: Rows, text_features: Rows, temperature: float) -> Floats:
    """Rows (..., D) and (2, P, D) to the probability of the anomalous state (...)."""
    normal, anomalous = ((rows @ _unit(prompts).T).max(axis=-1).astype(np.float64) for prompts in text_features)
    found: Floats = 1 / (1 + np.exp((normal - anomalous) / temperature))
    return found


def _half_distance(rows: Rows, gallery: Rows) -> Floats:
    """Rows (..., D) and (R, D) to half of 1 minus each row's largest cosine (...), above 0."""
    found: Floats = np.maximum((1 - (rows @ gallery.T).max(axis=-1).astype(np.float64)) / 2, SMALLEST)
    return found


def _unit(rows: Rows) -> Rows:
    unit: Rows = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
    return unit
