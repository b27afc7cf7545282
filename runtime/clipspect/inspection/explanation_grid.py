"""Where patches and windows of a view lie: in the grid of the model, and in the frame's pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd

import numpy as np
import numpy.typing as npt

from clipspect.bundle.windows_graph import window_count
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
            and window_count((grid.rows, grid.columns), scale, stride) == count
            for scale, count in counts.items()
        ):
            return grid
    return None


def _grids(spec: ImageSpec) -> list[Grid]:
    """Of patches of each size that the image divides into, as every exported one does; the largest first."""
    side = gcd(spec.height, spec.width)
    return [Grid(spec.height // size, spec.width // size) for size in range(side, 0, -1) if side % size == 0]
