"""From a patch grid to a map of pixels as constants: `A @ grid @ B.T`, with one matrix for each side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from clipspect.base.errors import ExportError
from clipspect_export.towers.config import ClipConfig

TRUNCATE = 4.0  # standard deviations on each side of a Gaussian: scipy's default, which AnomalyCLIP's code keeps


class Upsampling(nn.Module):
    """A map of pixels from values on the patch grid, linear along each side."""

    down: Tensor
    across: Tensor

    def __init__(self, config: ClipConfig, side: Callable[[int, int], Tensor]) -> None:
        """`side` makes the matrix (pixels, patches) of a side from both numbers."""
        super().__init__()
        (height, width), (rows, columns) = config.image_size, config.grid
        self.register_buffer("down", side(height, rows))  # (H, rows)
        self.register_buffer("across", side(width, columns))  # (W, columns)

    def forward(self, grid: Tensor) -> Tensor:
        """(..., rows, columns) to (..., H, W)."""
        return self.down @ grid @ self.across.T


def require_sigma(sigma: float, pixels: int) -> float:
    """A Gaussian's standard deviation in pixels, 0 for none. Raises ExportError."""
    if not 0 <= sigma <= pixels:
        raise ExportError(f"sigma {sigma}: expected 0 (no smoothing) up to the image's {pixels} pixels")
    return float(sigma)


def gaussian_matrix(pixels: int, sigma: float) -> Tensor:
    """(pixels, pixels), float64: scipy's `gaussian_filter` along one side; the identity for sigma 0.

    The kernel ends TRUNCATE standard deviations from its centre; beyond an edge the image is mirrored, the edge
    pixel included (scipy's mode "reflect": d c b a | a b c d | d c b a).
    """
    radius = int(TRUNCATE * sigma + 0.5)
    offset = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offset / sigma) ** 2) if sigma else np.ones(1)
    kernel /= kernel.sum()
    row = np.arange(pixels)[:, None]
    column = (row + offset) % (2 * pixels)
    column = np.minimum(column, 2 * pixels - 1 - column)
    matrix = np.zeros((pixels, pixels))
    np.add.at(matrix, (row, column), kernel)
    return torch.from_numpy(matrix)


def window_matrix(pixels: int, sigma: float) -> Tensor:
    """(pixels, pixels), float64: a Gaussian cut to three pixels along one side; the identity for sigma 0.

    Beyond an edge the image is mirrored, the edge pixel not repeated (OpenCV's and torch's "reflect").
    """
    if sigma == 0 or pixels == 1:
        return torch.eye(pixels, dtype=torch.float64)
    kernel = np.exp(-0.5 * (np.array([-1, 0, 1]) / sigma) ** 2)
    kernel /= kernel.sum()
    row = np.arange(pixels)[:, None]
    column = np.abs(row + np.array([-1, 0, 1]))
    column = np.minimum(column, 2 * (pixels - 1) - column)
    matrix = np.zeros((pixels, pixels))
    np.add.at(matrix, (row, column), kernel)
    return torch.from_numpy(matrix)


def bilinear_matrix(pixels: int, grid: int) -> Tensor:
    """(pixels, grid): linear interpolation along one side, pixel centres (align_corners=False), edges repeated."""
    position = ((torch.arange(pixels, dtype=torch.float64) + 0.5) * grid / pixels - 0.5).clamp(0, grid - 1)
    return _interpolation(position, grid)


def smooth_matrix(sigma: float) -> Callable[[int, int], Tensor]:
    """What makes a side's matrix of linear interpolation, then a Gaussian of `sigma` pixels, 0 for none."""

    def matrix(pixels: int, grid: int) -> Tensor:
        return (gaussian_matrix(pixels, sigma) @ bilinear_matrix(pixels, grid).double()).float()

    return matrix


def corner_bilinear_matrix(pixels: int, grid: int) -> Tensor:
    """(pixels, grid): linear interpolation along one side, the corners' centres aligned (align_corners=True)."""
    step = (grid - 1) / (pixels - 1) if pixels > 1 else 0.0
    position = torch.arange(pixels, dtype=torch.float64) * step
    return _interpolation(position, grid)


def _interpolation(position: Tensor, grid: int) -> Tensor:
    """(pixels, grid): each pixel's two weights at its place on the grid, float64 (pixels,) within 0 to grid - 1."""
    lower = position.floor().long().clamp(max=max(grid - 2, 0))
    weight = position - lower
    row = torch.arange(len(position))
    matrix = torch.zeros(len(position), grid, dtype=torch.float64)
    matrix[row, lower] = 1 - weight
    if grid > 1:
        matrix[row, lower + 1] = weight
    return matrix.float()
