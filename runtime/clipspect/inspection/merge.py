"""From the answers to a frame's views to one map and one score: tiles are blended, and the worst of them scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from clipspect.frame.views import Box, View
from clipspect.inspection.maps import Map

_EDGE = 0.5  # pixels of the frame: a weight at a tile's very edge is not 0


class Merged:
    """One map and one score of views, whose answers come some at a time and are not kept.

    The score is that of the most anomalous view. The map speaks of `box`, the rectangle that all placements lie in,
    and has the scale of the views' own maps, but no more pixels than the frame: a single view's is its own, as it is.
    Those of several views are laid over each other, each in its placement, sampled bilinearly at the centres of the
    merged map's pixels. Where placements overlap a pixel is their weighted mean: across and down a weight is the
    distance from the nearer edge of the placement, both are multiplied, and the weights of a pixel sum to 1. So one
    tile fades linearly into the next, and counts least where it sees least around. Where no view is placed the map
    is 0. docs/bundle-format.md has the formulas.
    """

    def __init__(self, views: Sequence[View], shape: tuple[int, int]) -> None:
        """Views of one size, of whose answers the maps have that shape (h, w)."""
        self.score = -np.inf
        self.box = _around([view.placement for view in views])
        self._views, self._added = tuple(views), 0
        self._blend = _blend(self._views, shape) if len(views) > 1 else None
        self.map: Map = np.zeros((0, 0) if self._blend is None else self._blend.shape, np.float32)

    def add(self, scores: npt.NDArray[np.float32], maps: Map) -> None:
        """What was answered to the next views in their order: (n,) and (n, h, w)."""
        self.score = max(self.score, float(scores.max()))
        if self._blend is None:
            self.map = np.array(maps[0])  # one of its own: a result that is kept must not keep its whole batch
            return
        for answered in maps:
            crop, place = self._views[self._added].crop, self._views[self._added].placement
            left, across = self._blend.across[crop.left, crop.right, place.left, place.right]
            top, down = self._blend.down[crop.top, crop.bottom, place.top, place.bottom]
            self.map[top : top + len(down), left : left + len(across)] += down @ answered @ across.T
            self._added += 1


_Sides = tuple[int, int, int, int]  # along an axis: a crop's first pixel and its end, its placement's first and end
_Share = tuple[int, Map]  # the first pixel of the merged map, and for each from there what it has of a view's pixels


@dataclass(frozen=True)
class _Blend:
    """How the maps of views become one."""

    shape: tuple[int, int]  # of the merged map
    across: dict[_Sides, _Share]
    down: dict[_Sides, _Share]


@lru_cache(maxsize=4)  # the frames of a line have one size or few
def _blend(views: tuple[View, ...], shape: tuple[int, int]) -> _Blend:
    box = _around([view.placement for view in views])
    across, down = views[0].crop.size
    width = min(box.width, -(-box.width * shape[1] // across))
    height = min(box.height, -(-box.height * shape[0] // down))
    boxes = [(view.crop, view.placement) for view in views]
    columns, rows = _Axis(box.left, box.width, width, shape[1]), _Axis(box.top, box.height, height, shape[0])
    return _Blend(
        (height, width),
        columns.shares([(c.left, c.right, p.left, p.right) for c, p in boxes]),
        rows.shares([(c.top, c.bottom, p.top, p.bottom) for c, p in boxes]),
    )


@dataclass(frozen=True)
class _Axis:
    """Columns or rows of a merged map."""

    origin: int  # where it begins in the frame
    length: int  # pixels of the frame
    pixels: int  # of the merged map
    answered: int  # pixels of a view's map

    def shares(self, sides: Sequence[_Sides]) -> dict[_Sides, _Share]:
        """Of each view, for the pixels of its placement: rows of weights of its map's pixels, (pixels, answered).

        They are the bilinear filter, wider where the map is shrunk, times the view's part of the blend.
        """
        total = np.zeros(self.pixels)
        found: dict[_Sides, _Share] = {}
        for placed, until in sorted({side[2:] for side in sides}):
            first, centres = self._centres(placed, until)
            total[first : first + len(centres)] += _weight(centres, placed, until)
        for side in dict.fromkeys(sides):
            start, end, placed, until = side
            first, centres = self._centres(placed, until)
            part = _weight(centres, placed, until) / total[first : first + len(centres)]
            scale = self.answered / (end - start)  # pixels of the view's map for one of the frame
            reach = max(1.0, scale * self.length / self.pixels)
            away = (centres - start)[:, None] * scale - (np.arange(self.answered) + 0.5)
            taps = np.maximum(1 - np.abs(away) / reach, 0)
            taps *= (part / taps.sum(axis=1))[:, None]
            found[side] = first, taps.astype(np.float32)
        return found

    def _centres(self, start: int, end: int) -> tuple[int, npt.NDArray[np.float64]]:
        """The merged map's pixels whose centres lie in so much of the frame: the first, and where they are there."""
        first, after = (
            -((self.length - 2 * self.pixels * (edge - self.origin)) // (2 * self.length)) for edge in (start, end)
        )
        places = np.arange(first, after)
        return first, self.origin + (2 * places + 1) * self.length / (2 * self.pixels)


def _weight(centres: npt.NDArray[np.float64], start: int, end: int) -> npt.NDArray[np.float64]:
    """How much a view counts there before weights are made to sum to 1: the distance from its nearer edge."""
    return _EDGE + np.minimum(centres - start, end - centres)


def _around(boxes: Sequence[Box]) -> Box:
    """The smallest rectangle with all of them."""
    return Box(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )
