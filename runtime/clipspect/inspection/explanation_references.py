"""Which patch of the references a region's hottest patch is closest to, and where its surroundings are in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.engines.graph import REFERENCE, SPREAD
from clipspect.inspection.explanation_grid import Grid
from clipspect.recipes.gallery import distances
from clipspect.recipes.recipe import Recipe

Rows = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]

REACH = 3  # patches around the hottest one that are its surroundings
MOST_SHIFT = 3  # patches that a part may lie elsewhere in the references
_LEAST_KNOWN = 0.25  # of the surroundings: less of thinned references says nothing


@dataclass(frozen=True)
class Origin:
    """Where a row of a gallery came from."""

    photograph: int
    turn: int  # which of the photograph's turns
    patch: int | None  # row-major; None: nobody kept it


@dataclass(frozen=True)
class Found:
    """A patch of the references, and how far the frame's is from it: 1 - cosine, the mean over the galleries."""

    origin: Origin
    distance: float | None  # None: that row was not kept


@dataclass(frozen=True)
class Nearest:
    """What was found of one region."""

    patch: int  # of the frame's view, the hottest
    nearest: Found
    counterpart: Found | None  # None: the references were thinned too much, or do not look like this
    usual: float | None  # distance of good parts' patches from their nearest


@dataclass(frozen=True, eq=False)
class ReferenceRows:
    """A recipe's galleries of patches, and a view's own rows for each, (L, D)."""

    grid: Grid
    turns: int  # images of each photograph
    known: Mapping[str, Any]  # what the recipe says of each gallery
    galleries: Mapping[str, Rows] = field(repr=False)
    spread: Mapping[str, float]  # of each gallery, what its distances are divided by in the map
    measured: bool  # whether the spread is that of good parts
    rows: Mapping[str, Rows] = field(repr=False)

    @classmethod
    def of(cls, recipe: Recipe, order: Sequence[str], grid: Grid, rows: Mapping[str, Rows]) -> ReferenceRows:
        """`order` has the names of all galleries of the graph; `rows` those of a view for some of them."""
        measured = SPREAD in recipe.tensors
        spread = {name: float(recipe.tensors[SPREAD][order.index(name)]) if measured else 1.0 for name in rows}
        galleries = {name: recipe.tensors[REFERENCE + name] for name in rows}
        references = recipe.references or {}
        turns = int(references.get("rotations", 1))
        return cls(grid, turns, references["galleries"], galleries, spread, measured, rows)

    def nearest(self, patches: Ints) -> Nearest:
        """Of the patches given, the one that is farthest from the references as the map has it, and what is there."""
        far = [distances(self.rows[name][patches], gallery) / self.spread[name] for name, gallery in self._all()]
        patch = int(patches[int(np.argmax(np.mean(far, axis=0)))])
        usual = float(np.mean(list(self.spread.values()))) if self.measured else None
        return Nearest(patch, self._closest(patch), self._counterpart(patch), usual)

    def _all(self) -> Iterator[tuple[str, Rows]]:
        return iter(self.galleries.items())

    def _closest(self, patch: int) -> Found:
        """Where no gallery was thinned, a patch of a photograph has the same place in all, and its distances are joined
        as in the map. Otherwise each gallery names its closest row, and what most of them name counts.
        """
        apart = {name: 1 - gallery @ self.rows[name][patch] for name, gallery in self._all()}
        if all(self.known[name]["rows"] == self.known[name]["of"] for name in apart):
            joined = np.sum([own / self.spread[name] for name, own in apart.items()], axis=0)
            places = dict.fromkeys(apart, int(np.argmin(joined)))
        else:
            places = {name: int(np.argmin(own)) for name, own in apart.items()}
        origins = {name: origin_of(self.known[name], place, self.grid.patches) for name, place in places.items()}
        origin = Counter(origins.values()).most_common(1)[0][0]
        counted = [float(apart[name][place]) for name, place in places.items() if origins[name] == origin]
        return Found(origin, max(float(np.mean(counted)), 0.0))

    def _counterpart(self, patch: int) -> Found | None:
        """The place in the references whose surroundings are most like those of this patch.

        Every shift by a few patches is tried in every photograph: the mean distance of the patches around counts.
        """
        kept = {name: self._origins(name) for name, _ in self._all()}
        origins = {name: own for name, own in kept.items() if own is not None}
        if len(origins) < len(kept):
            return None
        around, reached = _around(self.grid, patch, REACH), _around(self.grid, patch, REACH + MOST_SHIFT)
        joined, plain = self._tables(around, reached, origins)
        middle = int(np.flatnonzero(around == patch)[0])
        row, column = np.divmod(around, self.grid.columns)
        best, found = np.inf, None
        for down, across in np.ndindex(2 * MOST_SHIFT + 1, 2 * MOST_SHIFT + 1):
            to_row, to_column = row + down - MOST_SHIFT, column + across - MOST_SHIFT
            inside = (to_row >= 0) & (to_row < self.grid.rows) & (to_column >= 0) & (to_column < self.grid.columns)
            there = to_row * self.grid.columns + to_column
            if not inside[middle]:
                continue
            values = joined[np.flatnonzero(inside), :, np.searchsorted(reached, there[inside])]  # (inside, images)
            known = np.isfinite(values)
            means = np.nansum(values, axis=0) / np.maximum(known.sum(axis=0), 1)
            means[known.sum(axis=0) < _LEAST_KNOWN * len(around)] = np.inf
            image = int(np.argmin(means))
            if means[image] < best:
                best, found = float(means[image]), (image, int(there[middle]))
        if found is None:
            return None
        image, centre = found
        photograph, turn = divmod(image, self.turns)
        own = float(plain[middle, image, np.searchsorted(reached, centre)])
        return Found(Origin(photograph, turn, centre), None if np.isnan(own) else max(own, 0.0))

    def _origins(self, name: str) -> Ints | None:
        """Of each row of a gallery its patch, counted through all images; None where nobody kept it."""
        gallery, each = self.known[name], self.turns * self.grid.patches
        photograph = np.repeat(np.arange(len(gallery["kept"])), gallery["kept"])
        if gallery["rows"] == gallery["of"]:
            return np.arange(gallery["rows"])
        return photograph * each + np.array(gallery["places"], np.intp) if "places" in gallery else None

    def _tables(self, patches: Ints, reached: Ints, origins: Mapping[str, Ints]) -> tuple[Rows, Rows]:
        """Distances of patches of the view from those that can be reached in all images, (patches, images, reached): as
        the map joins them, and as they are. NaN where no gallery kept the row.
        """
        images = self.turns * max(len(self.known[name]["kept"]) for name in self.galleries)
        tables = np.zeros((3, len(patches), images * len(reached)), np.float32)  # joined, plain, and how many
        for name, gallery in self._all():
            image, at = np.divmod(origins[name], self.grid.patches)
            rows = np.flatnonzero(np.isin(at, reached))
            apart = 1 - self.rows[name][patches] @ gallery[rows].T
            to = image[rows] * len(reached) + np.searchsorted(reached, at[rows])
            tables[:, :, to] += np.stack([apart / self.spread[name], apart, np.ones_like(apart)])
        with np.errstate(invalid="ignore", divide="ignore"):
            joined, plain = (tables[:2] / tables[2]).reshape(2, len(patches), images, len(reached))
        return joined, plain


def origin_of(gallery: Mapping[str, Any], place: int, count: int) -> Origin:
    """Of a row of a gallery as a recipe describes it; a photograph's image has `count` patches."""
    ends = np.cumsum(gallery["kept"])
    photograph = int(np.searchsorted(ends, place, side="right"))
    if gallery["rows"] == gallery["of"]:
        within = place - (int(ends[photograph - 1]) if photograph else 0)
    elif "places" in gallery:
        within = gallery["places"][place]
    else:
        return Origin(photograph, 0, None)
    turn, patch = divmod(within, count)
    return Origin(photograph, turn, patch)


def _around(grid: Grid, patch: int, reach: int) -> Ints:
    """A patch and those around it, ascending."""
    row, column = divmod(patch, grid.columns)
    rows = np.arange(max(row - reach, 0), min(row + reach + 1, grid.rows))
    columns = np.arange(max(column - reach, 0), min(column + reach + 1, grid.columns))
    return (rows[:, None] * grid.columns + columns).ravel()
