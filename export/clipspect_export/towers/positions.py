"""CLIP's weights at another image size: its position embedding resized once, before a graph is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from clipspect.base.errors import ExportError
from clipspect_export.towers.config import ClipConfig, Interpolation

POSITIONS = "visual.positional_embedding"


def at_image_size(
    tensors: Mapping[str, Tensor], config: ClipConfig, image_size: int, interpolation: Interpolation
) -> tuple[dict[str, Tensor], ClipConfig]:
    """The same weights for images of `image_size` pixels.

    Raises ExportError when the image does not divide into patches.
    """
    if image_size % config.patch_size:
        raise ExportError(
            f"{config.name}: an image of {image_size} pixels does not divide into patches of {config.patch_size}; "
            "expected a backbone with patches of 14, such as ViT-L-14-336"
        )
    resized = dataclasses.replace(config, image_size=image_size)
    positions = resize_positions(tensors[POSITIONS], resized.grid, interpolation)
    return {**tensors, POSITIONS: positions}, resized


def resize_positions(positions: Tensor, grid: int, interpolation: Interpolation) -> Tensor:
    """(1 + side ** 2, W) to (1 + grid ** 2, W): the class token's stays, the patches' are interpolated."""
    cls, patches = positions[:1], positions[1:]
    side = round(len(patches) ** 0.5)
    if side == grid:
        return positions
    image = patches.T.reshape(1, -1, side, side)  # (1, W, side, side)
    options = dataclasses.asdict(interpolation)
    image = functional.interpolate(image, size=(grid, grid), align_corners=False, **options)
    return torch.cat([cls, image.flatten(2)[0].T])
