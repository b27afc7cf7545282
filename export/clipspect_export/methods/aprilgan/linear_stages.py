"""APRIL-GAN's trained weights: one linear layer a stage, from patch tokens to CLIP's embedding space."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch import Tensor

from clipspect.base.errors import ExportError
from clipspect_export.methods.checkpoint import Checkpoint
from clipspect_export.towers.config import ClipConfig

STAGES = 4  # after blocks 6, 12, 18 and 24
_STAGE = re.compile(r"fc\.(\d+)\.(weight|bias)")


@dataclass(frozen=True)
class LinearStage:
    """weight (D, W) and bias (D,), as torch's Linear has them."""

    weight: Tensor
    bias: Tensor


def linear_stages(checkpoint: Checkpoint, config: ClipConfig) -> tuple[LinearStage, ...]:
    """The four stages of a checkpoint, checked against the backbone. Raises ExportError."""
    numbers = set()
    for name in checkpoint.tensors:
        match = _STAGE.fullmatch(name)
        if match is None:
            raise ExportError(f"{checkpoint.path}: {name!r} is not part of APRIL-GAN's linear layers, fc.0 to fc.3")
        numbers.add(int(match[1]))
    if numbers != set(range(STAGES)):
        raise ExportError(
            f"{checkpoint.path}: found {len(numbers)} linear layers, expected {STAGES}, for blocks 6, 12, 18 and 24"
        )
    dim, width = config.embed_dim, config.vision.width
    return tuple(
        LinearStage(checkpoint.take(f"fc.{number}.weight", (dim, width)), checkpoint.take(f"fc.{number}.bias", (dim,)))
        for number in range(STAGES)
    )
