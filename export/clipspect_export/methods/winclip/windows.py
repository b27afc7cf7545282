"""WinCLIP's geometry as constants: which tokens a window reads, and how window values become a map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipspect.base.errors import ExportError
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


def window_starts(side: int, scale: int, stride: int = 1) -> Tensor:
    """The first patch of each window of a row, `stride` patches apart; the last stands at the edge: (windows a side,).

    With a stride of at most `scale` every patch is in a window.
    """
    last = side - scale
    starts = list(range(0, last + 1, stride))
    return torch.tensor(starts if starts[-1] == last else [*starts, last])


def window_patches(grid: Grid, scale: int, stride: int = 1) -> Tensor:
    """Row-major patch indices of all windows of `scale` x `scale` patches: (windows, scale ** 2)."""
    down, across = (window_starts(side, scale, stride)[:, None] + torch.arange(scale) for side in grid)
    rows, columns = down[:, None, :, None], across[None, :, None, :]  # of (windows a side, scale)
    return (rows * grid.columns + columns).reshape(-1, scale * scale)


def groups(grid: Grid, scales: Sequence[int], stride: int = 1) -> list[Group]:
    """The packed attention groups: the full image, then the windows of each scale."""
    counts = [math.prod(len(window_starts(side, scale, stride)) for side in grid) for scale in scales]
    return [Group(1, grid.patches + 1), *(Group(count, scale * scale + 1) for count, scale in zip(counts, scales))]


def packed_tokens(grid: Grid, scales: Sequence[int], stride: int = 1) -> Tensor:
    """For each packed token, the token of the full image that it is (0: the class token): (T,)."""
    full = torch.arange(grid.patches + 1)
    parts = [full]
    for scale in scales:
        patches = window_patches(grid, scale, stride) + 1
        parts.append(torch.cat([torch.zeros(len(patches), 1, dtype=torch.int64), patches], dim=1).flatten())
    return torch.cat(parts)


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
    row, start = torch.arange(side)[:, None], window_starts(side, scale, stride)
    covers = ((start <= row) & (row < start + scale)).double()
    return (covers / covers.sum(dim=1, keepdim=True)).float()
