"""What AnomalyCLIP and Crane say of themselves alike: Crane's official code began as AnomalyCLIP's."""

from __future__ import annotations

from typing import Any

from clipspect.engines.graph import PHOTOS, WORDS
from clipspect_export.methods.method import Method
from clipspect_export.towers.config import QUICK_GELU, Interpolation

SIGMA = 4.0  # pixels
IMAGE_SIZE = 518  # pixels; ViT-L/14@336 has a grid of 37 x 37 there
POSITION_RESIZE = Interpolation("bilinear", antialias=False)


def learned_method(name: str, options: type[Any]) -> Method:
    """A method whose prompts are learned, for any object."""
    return Method(
        name,
        options,
        roles=(WORDS, PHOTOS),
        object_agnostic=True,
        checkpoint_section="prompt_learner",
        activation=QUICK_GELU,  # OpenAI's, as in the official code
        image_size=IMAGE_SIZE,
        positions=POSITION_RESIZE,
    )
