"""What Crane leaves open; the defaults are those that its published accuracy was made with (Salehi et al. 2025)."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.engines.graph import PHOTOS, WORDS
from clipspect_export.methods.method import Method, SizeOptions, TrainedOptions, option
from clipspect_export.towers.config import QUICK_GELU, Interpolation

SIGMA = 4.0
IMAGE_SIZE = 518  # pixels; ViT-L/14@336 has a grid of 37 x 37 there
POSITION_RESIZE = Interpolation("bilinear", antialias=False)


@dataclass(frozen=True)
class CraneOptions(TrainedOptions, SizeOptions):
    """How the map is smoothed."""

    sigma: float = option(SIGMA, "smoothing of the map in pixels, 0 for none", metavar="PIXELS")


METHOD = Method(
    "crane",
    CraneOptions,
    roles=(WORDS, PHOTOS),
    object_agnostic=True,
    checkpoint_section="prompt_learner",
    activation=QUICK_GELU,  # OpenAI's, as in the official code
    image_size=IMAGE_SIZE,
    positions=POSITION_RESIZE,
)
