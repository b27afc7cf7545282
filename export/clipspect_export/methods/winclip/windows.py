"""WinCLIP's geometry as constants: which tokens a window reads, and how window values become a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipspect.base.errors import ExportError


@dataclass(frozen=True)
class Group:
    """Windows of one size, each with its class token: `count` attention groups of `size` tokens."""

    count: int
    size: int

    @property
    def tokens(self) -> int:
        return self.count * self.size


def require_scales(scales: Sequence[int], grid: int) -> tuple[int, ...]:
    """Window sides in patches, checked against the grid. Raises ExportError."""
    if not scales:
        raise ExportError("no scales: give the sides of the windows in patches, such as 2,3")
    for scale in scales:
        if not 1 <= scale <= grid:
            raise ExportError(
                f"scale {scale} does not fit: windows are 1 to {grid} patches wide on a {grid} x {grid} grid"
            )
    if len(set(scales)) != len(scales):
        raise ExportError(f"scales {','.join(map(str, scales))}: one stands there twice")
    return tuple(scales)


def window_starts(grid: int, scale: int, stride: int = 1) -> Tensor:
    """The first patch of each window of a row, `stride` patches apart; the last stands at the edge: (windows a side,).

    With a stride of at most `scale` every patch is in a window.
    """
    last = grid - scale
    starts = list(range(0, last + 1, stride))
    return torch.tensor(starts if starts[-1] == last else [*starts, last])


def window_patches(grid: int, scale: int, stride: int = 1) -> Tensor:
    """Row-major patch indices of all windows of `scale` x `scale` patches: (windows, scale ** 2)."""
    side = window_starts(grid, scale, stride)[:, None] + torch.arange(scale)  # (windows a side, scale)
    rows, columns = side[:, None, :, None], side[None, :, None, :]
    return (rows * grid + columns).reshape(-1, scale * scale)


def groups(grid: int, scales: Sequence[int], stride: int = 1) -> list[Group]:
    """The packed attention groups: the full image, then the windows of each scale."""
    counts = [len(window_starts(grid, scale, stride)) ** 2 for scale in scales]
    return [Group(1, grid * grid + 1), *(Group(count, scale * scale + 1) for count, scale in zip(counts, scales))]


def packed_tokens(grid: int, scales: Sequence[int], stride: int = 1) -> Tensor:
    """For each packed token, the token of the full image that it is (0: the class token): (T,)."""
    full = torch.arange(grid * grid + 1)
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


def side_mean_matrix(grid: int, scale: int, stride: int = 1) -> Tensor:
    """(grid, windows a side): from a row of windows to a row of patches, each the mean of the windows that cover it.

    Windows stand in a square, and a patch is covered by those of its rows times those of its columns: the mean over
    them is this matrix on both sides.
    """
    row, start = torch.arange(grid)[:, None], window_starts(grid, scale, stride)
    covers = ((start <= row) & (row < start + scale)).double()
    return (covers / covers.sum(dim=1, keepdim=True)).float()
