"""WinCLIP's geometry as constants: which tokens a window reads, and how window values become a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipspect.base.errors import ExportError
from clipspect.bundle.windows_graph import window_count
from clipspect.inspection.window_layout import covers, scale_of
from clipspect_export.towers.config import Grid


@dataclass(frozen=True)
class Group:
    """Windows of one size, each with its class token: `count` attention groups of `size` tokens."""

    count: int
    size: int

    @property
    def tokens(self) -> int:
        return self.count * self.size


def require_scales(scales: Sequence[int], grid: Grid) -> tuple[int, ...]:
    """Window sides in patches, checked against the grid. Raises ExportError."""
    if not scales:
        raise ExportError("no scales: give the sides of the windows in patches, such as 2,3")
    for scale in scales:
        if not 1 <= scale <= min(grid):
            raise ExportError(
                f"scale {scale} does not fit: windows are 1 to {min(grid)} patches wide on a grid of {grid.rows} x "
                f"{grid.columns}"
            )
    if len(set(scales)) != len(scales):
        raise ExportError(f"scales {','.join(map(str, scales))}: one stands there twice")
    return tuple(scales)


def groups(grid: Grid, scales: Sequence[int], stride: int = 1) -> list[Group]:
    """The packed attention groups: the full image, then the windows of each scale."""
    counts = [window_count(grid, scale, stride) for scale in scales]
    return [Group(1, grid.patches + 1), *(Group(count, scale * scale + 1) for count, scale in zip(counts, scales))]


def packed_tokens(grid: Grid, scales: Sequence[int], stride: int = 1) -> Tensor:
    """For each packed token, the token of the full image that it is (0: the class token): (T,)."""
    windows = [torch.from_numpy(scale_of(grid, scale, stride).tokens).flatten() for scale in scales]
    return torch.cat([torch.arange(grid.patches + 1), *windows])


def class_places(layout: Sequence[Group]) -> Tensor:
    """Where each group's class token stands among the packed tokens: (G,)."""
    places: list[int] = []
    start = 0
    for group in layout:
        places.extend(range(start, start + group.tokens, group.size))
        start += group.tokens
    return torch.tensor(places)


def side_mean_matrix(side: int, scale: int, stride: int = 1) -> Tensor:
    """(side, windows a side): from a row of windows to a row of patches, each the mean of the windows that cover it.

    Windows stand in a rectangle, and a patch is covered by those of its rows times those of its columns: the mean over
    them is a matrix on each side.
    """
    covering = torch.from_numpy(covers(side, scale, stride))
    return (covering / covering.sum(dim=1, keepdim=True)).float()
