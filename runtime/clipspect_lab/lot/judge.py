"""A lot judged: every image read once, then scored against the others."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clipspect.base.errors import ClipspectError
from clipspect.base.progress import Progress, quiet
from clipspect.bundle.bundle import Bundle
from clipspect.frame.decode import FrameLike
from clipspect.frame.item import Item, items_of
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.load import load
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.stream import outcomes_of
from clipspect_lab.lot.disk_array import DiskArray
from clipspect_lab.lot.features import FeatureReader, PatchGraph, blank_recipe, patch_graph
from clipspect_lab.lot.mutual_scoring import (
    DEGREES,
    Array,
    aggregated,
    block_pairs,
    mutual_scores,
    nearest_distances,
    rescored,
)

FEWEST = 3  # images: of two, each is as unlike the other


@dataclass(frozen=True, eq=False)
class Lot:
    """Every image of a lot. A result's map has a value for each patch; no verdict: a lot has no limits."""

    ranked: tuple[Outcome, ...]  # the most anomalous first
    unread: tuple[Outcome, ...]  # images that could not be read, with their errors
    heat: tuple[float, float]  # the smallest and the largest value of all maps
    inspector: Inspector = field(repr=False)  # that read them; closed

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        return (*self.ranked, *self.unread)


def judge_lot(
    bundle: Bundle | str | os.PathLike[str],
    items: Sequence[Item | FrameLike],
    backend: str | None = None,
    *,
    progress: Progress = quiet,
    **options: Any,
) -> Lot:
    """Images judged against each other. `backend` and `options` are those of `clipspect.load`.

    What grows with the lot is on disk: patches, and their distances, the square of the images times the patches of one.
    Raises BundleError for a bundle that answers no patches; ClipspectError for fewer than three images that can be
    read, or where the disk is full; BackendError.
    """
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    found = patch_graph(opened)
    recipe = blank_recipe(opened, found)
    shape = (len(items), len(found.outputs), found.grid[0] * found.grid[1], found.width)
    with DiskArray(shape) as patches:
        with load(opened, recipe, backend, verdicts=False, extras=found.extras, **options) as inspector:
            reader = FeatureReader(inspector, found, patches)
            outcomes = _read(reader, items, progress)
        read = [outcome for outcome in outcomes if outcome.result is not None]
        if len(read) < FEWEST:
            raise ClipspectError(
                f"{len(read)} of {len(outcomes)} images could be read: a lot is judged by its images alone, it needs "
                f"{FEWEST} at least, and a reliable ranking some dozens"
            )
        maps = _maps(found, patches, len(read), progress)
    scores = rescored(maps.max(axis=1), np.stack(reader.embeddings))
    judged = [_judged(*each, found.grid) for each in zip(read, scores, maps)]
    return Lot(
        ranked=tuple(sorted(judged, key=lambda outcome: -outcome.require().score)),
        unread=tuple(outcome for outcome in outcomes if outcome.result is None),
        heat=(float(maps.min()), float(maps.max())),
        inspector=inspector,
    )


def _read(reader: FeatureReader, items: Iterable[Item | FrameLike], progress: Progress) -> list[Outcome]:
    """Outcomes whose maps were let go."""
    listed = list(items_of(items))
    outcomes = []
    for done, outcome in enumerate(outcomes_of(reader, listed), 1):
        outcomes.append(_without_map(outcome))
        progress("read", done, len(listed))
    return outcomes


def _without_map(outcome: Outcome) -> Outcome:
    if outcome.result is None:
        return outcome
    return dataclasses.replace(
        outcome, result=dataclasses.replace(outcome.result, model_map=np.zeros((1, 1), np.float32))
    )


def _maps(found: PatchGraph, patches: DiskArray, count: int, progress: Progress) -> Array:
    """A value for each patch of each image (N, L): the mean over layers and degrees of aggregation."""
    length = found.grid[0] * found.grid[1]
    passes = [(layer, degree) for layer in range(len(found.outputs)) for degree in DEGREES]
    total, steps = len(passes) * block_pairs(count, length), 0
    maps = np.zeros((count, length), np.float32)

    def done() -> None:
        nonlocal steps
        steps += 1
        progress("compare", steps, total)

    with DiskArray((count, count, length)) as distances:
        for layer, degree in passes:

            def part(index: int, layer: int = layer, degree: int = degree) -> Array:
                return aggregated(patches.read((index, layer)), found.grid, degree)

            nearest_distances(part, distances, done)
            maps += mutual_scores(distances) / len(passes)
    return maps


def _judged(outcome: Outcome, score: np.float32, values: Array, grid: tuple[int, int]) -> Outcome:
    """With the lot's score and map, the patches' own values; nothing is over a limit."""
    result = dataclasses.replace(
        outcome.require(),
        score=float(score),
        model_map=values.reshape(grid),
        regions=(),
        verdict=None,
        map_limit=float("inf"),
    )
    return dataclasses.replace(outcome, result=result)
