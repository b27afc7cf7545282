"""From an engine's answer to reasons: what raised each region of a frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.bundle.bundle import Bundle
from clipspect.bundle.windows_graph import window_starts
from clipspect.engines.graph import BOTH, FEATURES, IMAGE_EMBEDDING, PHOTOS
from clipspect.frame.views import Box, View, whole_frame
from clipspect.inspection.answer import Answer
from clipspect.inspection.explanation import (
    Explanation,
    Place,
    ReferencePatch,
    ReferenceReason,
    RegionReason,
    StateReason,
    WindowReason,
)
from clipspect.inspection.explanation_grid import Grid, grid_of_patches, grid_of_windows
from clipspect.inspection.explanation_references import Found, ReferenceRows
from clipspect.inspection.explanation_windows import Raised, WindowValues
from clipspect.inspection.regions import Region, component_at
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.rotations import STEPS
from clipspect.recipes.state_features import EmbeddedStates, closest, embedded_states

MOST_REGIONS = 8  # that are explained, those with the highest peaks
MOST_WINDOWS = 3  # of a region
MOST_STATES = 2  # of normal and of anomalous
_WINDOWS = f"{FEATURES}windows_"  # outputs: the windows' embeddings, of each scale
_METHOD_WITH_WINDOWS = "winclip"

Floats = npt.NDArray[np.float64]
Outputs = Mapping[str, npt.NDArray[Any]]


def outputs_to_explain(outputs: Iterable[str]) -> list[str]:
    """Which of a graph's outputs an explanation reads."""
    return [name for name in outputs if name.startswith(FEATURES) or name == IMAGE_EMBEDDING]


def explain(bundle: Bundle, answer: Answer, regions: Sequence[Region]) -> Explanation:
    """Of a frame whose answer's extras hold `outputs_to_explain`. Raises RecipeError."""
    views = answer.frame.views
    explainer = _Explainer(bundle, answer.recipe, answer.extras, views != whole_frame(*answer.frame.size))
    excess = np.maximum(answer.model_map - np.float32(answer.map_limit), 0)
    if (area := answer.frame.area) is not None and not area.fault:
        excess = np.where(area.mask_of_view(answer.map_box, *excess.shape[::-1]), excess, 0)
    total = float(excess.sum(dtype=np.float64))
    found = []
    for number, region in enumerate(regions[:MOST_REGIONS]):
        x, y, over = _points(excess, answer.map_box, region, answer.map_limit)
        share = min(float(over.sum()) / total, 1.0) if total > 0 else 0.0
        index = _view_of(views, region)
        found.append(explainer.region(number, share, index, views[index].crop, x, y, over))
    return Explanation(tuple(found), explainer.notes() if regions else ())


@dataclass(frozen=True, eq=False)
class _Explainer:
    """What all regions of a frame have in common."""

    bundle: Bundle
    recipe: Recipe
    extras: Outputs = field(repr=False)
    sees_parts: bool  # whether a view is other than the whole frame: nobody knows which part of a photograph it shows

    def region(
        self, number: int, share: float, view: int, crop: Box, x: Floats, y: Floats, over: Floats
    ) -> RegionReason:
        """Of points of the frame over the limit, and by how much; they lie in that view."""
        windows, embedding = self._windows(view, crop, x, y, over)
        states = closest(self._states, embedding, MOST_STATES) if embedding is not None else []
        return RegionReason(
            number,
            share,
            tuple(windows),
            tuple(StateReason(state, words, cosine) for state, words, cosine in states),
            self._reference(view, crop, x, y),
        )

    def notes(self) -> tuple[str, ...]:
        """What could not be told, and what to do for it."""
        found = []
        judge, method = self.recipe.judge, self.bundle.manifest.method
        if judge != PHOTOS and not self._scales:
            found.append(
                "the bundle's graph does not answer its windows, so none is named: export it again"
                if method == _METHOD_WITH_WINDOWS
                else f"{method} compares patches with words, so that no windows are named"
            )
        if self._scales and not self._states:
            found.append("the recipe does not keep its states one by one, so no words are named: make it again")
        if self.recipe.has_references and self.sees_parts:
            found.append("the recipe looks at parts of a frame, so that no patch of its references is named")
        elif self.recipe.has_references and not self._patch_rows:
            found.append("the recipe keeps no patches of single references, so none is named")
        return tuple(found)

    @cached_property
    def _scales(self) -> dict[int, npt.NDArray[np.float32]]:
        """The windows' embeddings by scale, (views, windows, D)."""
        if self.recipe.judge == PHOTOS or IMAGE_EMBEDDING not in self.extras:
            return {}
        return {int(name[len(_WINDOWS) :]): rows for name, rows in self.extras.items() if name.startswith(_WINDOWS)}

    @cached_property
    def _states(self) -> tuple[EmbeddedStates, ...]:
        return embedded_states(self.recipe)

    @cached_property
    def _patch_rows(self) -> dict[str, npt.NDArray[np.float32]]:
        """The patches' rows by gallery, (views, L, D), where the recipe says which references its own came from."""
        if self.sees_parts:
            return {}
        known = (self.recipe.references or {}).get("galleries", {})
        named = {name: self.extras.get(FEATURES + name) for name in known if FEATURES + name not in self._window_names}
        found = {name: rows for name, rows in named.items() if rows is not None}
        finest = max((rows.shape[1] for rows in found.values()), default=0)
        return {name: rows for name, rows in found.items() if rows.shape[1] == finest}  # of one grid

    @cached_property
    def _window_names(self) -> set[str]:
        return {name for name in self.extras if name.startswith(_WINDOWS)}

    def _windows(
        self, view: int, crop: Box, x: Floats, y: Floats, over: Floats
    ) -> tuple[list[WindowReason], npt.NDArray[np.float32] | None]:
        """What raised the region most, and the embedding of the first."""
        spec, parameters, scales = self.bundle.manifest.image, self.bundle.manifest.parameters, self._scales
        stride = int(parameters.get("window_stride", 1))
        grid = (
            grid_of_windows(spec, {scale: rows.shape[1] for scale, rows in scales.items()}, stride) if scales else None
        )
        if grid is None:
            return [], None
        rows = {scale: own[view] for scale, own in scales.items()}
        image = self.extras[IMAGE_EMBEDDING][view]
        values = WindowValues.of(grid, parameters, self.recipe.text_features, image, rows)
        weights: Floats = np.bincount(grid.cells(x, y, crop), over, grid.patches).astype(np.float64)
        raised = _most(values.raised(weights))
        part = 0.5 if self.recipe.judge == BOTH else 1.0  # of the map, the words'
        found = [
            WindowReason(one.scale, _window_place(grid, crop, one.scale, stride, one.window), one.probability,
                         part * one.by)
            for one in raised
        ]  # fmt: skip
        return found, rows[raised[0].scale][raised[0].window] if raised else None

    def _reference(self, view: int, crop: Box, x: Floats, y: Floats) -> ReferenceReason | None:
        rows = {name: own[view] for name, own in self._patch_rows.items()}
        grid = grid_of_patches(self.bundle.manifest.image, len(next(iter(rows.values())))) if rows else None
        if grid is None:
            return None
        order = self.bundle.manifest.graphs[self.recipe.judge].galleries
        found = ReferenceRows.of(self.recipe, order, grid, rows).nearest(np.unique(grid.cells(x, y, crop)))
        return ReferenceReason(
            patch=grid.place(crop, *divmod(found.patch, grid.columns)),
            nearest=_reference_patch(self.recipe, grid, found.nearest),
            counterpart=None if found.counterpart is None else _reference_patch(self.recipe, grid, found.counterpart),
            usual=found.usual,
        )


def _reference_patch(recipe: Recipe, grid: Grid, found: Found) -> ReferencePatch:
    references, origin = recipe.references or {}, found.origin
    width, height = references["size"]
    return ReferencePatch(
        photograph=references["files"][origin.photograph]["name"],
        number=origin.photograph,
        place=None
        if origin.patch is None
        else grid.place(Box(0, 0, width, height), *divmod(origin.patch, grid.columns)),
        turned=round(360 * origin.turn / STEPS),
        distance=found.distance,
    )


def _most(raised: list[Raised]) -> list[Raised]:
    """The best of each scale, and the best of the others: the most raising first."""
    best = {one.scale: one for one in reversed(raised)}
    chosen = list(dict.fromkeys([*best.values(), *raised]))[:MOST_WINDOWS]
    return sorted(chosen, key=lambda one: -one.by)


def _window_place(grid: Grid, crop: Box, scale: int, stride: int, window: int) -> Place:
    across = window_starts(grid.columns, scale, stride)
    row, column = divmod(window, len(across))
    return grid.place(crop, window_starts(grid.rows, scale, stride)[row], across[column], scale)


def _points(excess: npt.NDArray[np.float32], box: Box, region: Region, limit: float) -> tuple[Floats, Floats, Floats]:
    """The pixels of a region of a map of that box: where their middles lie in the frame, and how far over the limit.

    A region so small that it lies between them has one point, its middle.
    """
    rows, columns = excess.shape
    across, down = box.width / columns, box.height / rows
    x, y = region.x - box.left, region.y - box.top
    left, right = int(x / across), int(np.ceil((x + region.width) / across))
    top, bottom = int(y / down), int(np.ceil((y + region.height) / down))
    inside = excess[top:bottom, left:right]
    row, column = np.nonzero(_own(inside, region.peak - limit))
    if not len(row):
        return np.array([region.centroid[0] + 0.5]), np.array([region.centroid[1] + 0.5]), np.ones(1)
    over = excess[top + row, left + column].astype(np.float64)
    return box.left + (left + column + 0.5) * across, box.top + (top + row + 0.5) * down, over


def _own(excess: npt.NDArray[np.float32], peak: float) -> npt.NDArray[np.bool_]:
    """Of what is over the limit in a region's box, the pixels of the region itself: what is 8-connected with the pixel
    whose excess is nearest to the region's peak. Others can reach into the box.
    """
    over = excess > 0
    if not over.any():
        return over
    place = int(np.argmin(np.where(over, np.abs(excess - np.float32(peak)), np.inf)))
    return component_at(over, *divmod(place, over.shape[1]))


def _view_of(views: Sequence[View], region: Region) -> int:
    """The view that the region's middle belongs to."""
    x, y = region.centroid
    for index, view in enumerate(views):
        place = view.placement
        if place.left <= x < place.right and place.top <= y < place.bottom:
            return index
    return 0
