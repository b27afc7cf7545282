"""CLIP's weights at another image size: its position embedding resized once, before a graph is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from clipspect_export.towers.config import ClipConfig, Grid, Interpolation, require_patches

POSITIONS = "visual.positional_embedding"


def of_size(config: ClipConfig, image_size: tuple[int, int]) -> ClipConfig:
    """The same backbone for images of that height and width in pixels. Raises ExportError where patches do not fit."""
    require_patches(config.name, config.patch_size, *image_size)
    return dataclasses.replace(config, image_size=image_size)


def resize_positions(positions: Tensor, grid: Grid, interpolation: Interpolation) -> Tensor:
    """(1 + side ** 2, W) to (1 + L, W): the class token's stays, the patches' are interpolated."""
    cls, patches = positions[:1], positions[1:]
    side = round(len(patches) ** 0.5)
    if grid == (side, side):
        return positions
    image = patches.T.reshape(1, -1, side, side)  # (1, W, side, side)
    options = dataclasses.asdict(interpolation)
    image = functional.interpolate(image, size=tuple(grid), align_corners=False, **options)
    return torch.cat([cls, image.flatten(2)[0].T])


def at_image_size(tensors: Mapping[str, Tensor], config: ClipConfig, interpolation: Interpolation) -> dict[str, Tensor]:
    """The same weights for images of the configuration's size."""
    return {**tensors, POSITIONS: resize_positions(tensors[POSITIONS], config.grid, interpolation)}
