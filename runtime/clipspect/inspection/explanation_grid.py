"""Where patches and windows of a view lie: in the grid of the model, and in the frame's pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import gcd

import numpy as np
import numpy.typing as npt

from clipspect.frame.spec import ImageSpec
from clipspect.frame.views import Box
from clipspect.inspection.explanation import Place


@dataclass(frozen=True)
class Grid:
    """Patches of a model input, row-major."""

    rows: int
    columns: int

    @property
    def patches(self) -> int:
        return self.rows * self.columns

    def place(self, box: Box, row: int, column: int, side: int = 1) -> Place:
        """Where `side` x `side` patches lie that begin there, in the pixels of what the box is of."""
        left, right = (box.left + round(at * box.width / self.columns) for at in (column, column + side))
        top, bottom = (box.top + round(at * box.height / self.rows) for at in (row, row + side))
        return Place(left, top, right - left, bottom - top)

    def cells(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], box: Box) -> npt.NDArray[np.intp]:
        """The patches that points of the frame lie in, of a view of that box."""
        column = ((x - box.left) * self.columns / box.width).astype(np.intp).clip(0, self.columns - 1)
        row = ((y - box.top) * self.rows / box.height).astype(np.intp).clip(0, self.rows - 1)
        found: npt.NDArray[np.intp] = row * self.columns + column
        return found


def grid_of_patches(spec: ImageSpec, patches: int) -> Grid | None:
    """The grid of so many square patches; None: they are not in one."""
    return next((grid for grid in _grids(spec) if grid.patches == patches), None)


def grid_of_windows(spec: ImageSpec, counts: Mapping[int, int], stride: int) -> Grid | None:
    """The grid in which each scale has so many windows; None: there is none."""
    for grid in _grids(spec):
        if all(
            max(counts) <= min(grid.rows, grid.columns)
            and len(starts(grid.rows, scale, stride)) * len(starts(grid.columns, scale, stride)) == count
            for scale, count in counts.items()
        ):
            return grid
    return None


@lru_cache(maxsize=64)
def starts(side: int, scale: int, stride: int) -> tuple[int, ...]:
    """The first patch of each window of a row of patches; the last window stands at the edge."""
    last = side - scale
    return tuple(start for start in range(last + 1) if start % stride == 0 or start == last)


@lru_cache(maxsize=8)
def covered(grid: Grid, scale: int, stride: int) -> npt.NDArray[np.bool_]:
    """Which patches each window holds, (windows, patches), windows row-major."""
    down, across = (_covered_side(side, scale, stride) for side in (grid.rows, grid.columns))
    both = down[:, None, :, None] & across[None, :, None, :]
    return both.reshape(len(down) * len(across), grid.patches)


def _covered_side(side: int, scale: int, stride: int) -> npt.NDArray[np.bool_]:
    first = np.array(starts(side, scale, stride))[:, None]
    patch = np.arange(side)
    found: npt.NDArray[np.bool_] = (first <= patch) & (patch < first + scale)
    return found


def _grids(spec: ImageSpec) -> list[Grid]:
    """Of patches of each size that the image divides into, as every exported one does; the largest first."""
    side = gcd(spec.height, spec.width)
    return [Grid(spec.height // size, spec.width // size) for size in range(side, 0, -1) if side % size == 0]
