"""How a frame becomes a graph's image, as a bundle states it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageSpec:
    """How a frame becomes the graph's `image`: RGB uint8 of this size."""

    height: int
    width: int
    resize: str = "squash"  # both sides to the model's size, the aspect ratio not kept
    interpolation: str = "bicubic"  # PIL's, antialiased when shrinking
