"""What APRIL-GAN leaves open: words, and the trained file (Chen et al. 2023); the code's layers are fixed."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.engines.graph import BOTH, PHOTOS, WORDS
from clipspect_export.methods.method import Method, SizeOptions, TrainedOptions, WordOptions
from clipspect_export.towers.config import GELU, Interpolation

IMAGE_SIZE = 518  # pixels; ViT-L/14@336 has a grid of 37 x 37 there
POSITION_RESIZE = Interpolation("bicubic", antialias=True)


@dataclass(frozen=True)
class AprilGanOptions(TrainedOptions, WordOptions, SizeOptions):
    """The trained file, and words."""


METHOD = Method(
    "aprilgan",
    AprilGanOptions,
    roles=(WORDS, BOTH, PHOTOS),
    checkpoint_section="trainable_linearlayer",
    activation=GELU,  # although OpenAI's weights have QuickGELU: the linear layers were trained so
    image_size=IMAGE_SIZE,
    positions=POSITION_RESIZE,
)
