"""What AnomalyCLIP leaves open; the defaults are those that its published accuracy was made with (Zhou et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.engines.graph import PHOTOS, WORDS
from clipspect_export.methods.method import Method, SizeOptions, TrainedOptions, option
from clipspect_export.towers.config import QUICK_GELU, Interpolation

LAYERS = (24,)  # the published setting reads one layer; (6, 12, 18, 24) is the code's other
SIGMA = 4.0
IMAGE_SIZE = 518  # pixels; ViT-L/14@336 has a grid of 37 x 37 there
POSITION_RESIZE = Interpolation("bilinear", antialias=False)


@dataclass(frozen=True)
class AnomalyClipOptions(TrainedOptions, SizeOptions):
    """What is read, and how its map is smoothed."""

    layers: tuple[int, ...] = option(LAYERS, "blocks whose patches are read", metavar="24")
    sigma: float = option(SIGMA, "smoothing of the map in pixels, 0 for none", metavar="PIXELS")


METHOD = Method(
    "anomalyclip",
    AnomalyClipOptions,
    roles=(WORDS, PHOTOS),
    object_agnostic=True,
    checkpoint_section="prompt_learner",
    activation=QUICK_GELU,  # OpenAI's, as in the official code
    image_size=IMAGE_SIZE,
    positions=POSITION_RESIZE,
)
