"""Drawn products before a fixed camera: one part a family, good and damaged, and frames that are none of it.

The scene is asymmetric: a dark rail on the left, a bright label at the top right. From frame to frame the part lies a
few pixels off, the light changes by some per cent, and the sensor adds noise.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from demo import surfaces
from demo.defects import HELD_OUT as KINDS
from demo.pool import Pair, draw_pair

Pixels = npt.NDArray[np.uint8]
Rng = np.random.Generator

FAMILIES = {**surfaces.HELD_OUT, **surfaces.TRAIN}
SIDE, PART = 320, 190  # pixels of the frame and of the part
_PLACE = 70  # of the part's corner
_SHIFT, _LIGHT, _NOISE = 4, 0.03, 2.0  # pixels, share, grey levels


def part(family: str, seed: int = 0) -> Pair:
    """A part of the family, and the same damaged."""
    return draw_pair(np.random.default_rng([seed, *family.encode()]), {family: FAMILIES[family]}, KINDS, FAMILIES)


def frame(surface: Pixels, rng: Rng) -> Pixels:
    """The camera sees the part: uint8 RGB (SIDE, SIDE, 3)."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    seen = np.repeat((110 + 25 * rows - 15 * columns)[..., None], 3, axis=2)
    seen[:, :24] = 35
    seen[14:50, 240:300] = (215, 210, 180)
    top, left = _PLACE + rng.integers(-_SHIFT, _SHIFT + 1, 2)
    inset = (len(surface) - PART) // 2
    seen[top : top + PART, left : left + PART] = surface[inset : inset + PART, inset : inset + PART]
    seen = seen * rng.uniform(1 - _LIGHT, 1 + _LIGHT) + rng.normal(0, _NOISE, seen.shape)
    return np.clip(np.rint(seen), 0, 255).astype(np.uint8)


def _defocused(seen: Pixels, rng: Rng) -> Pixels:
    """A disc of 4 pixels across every point."""
    rows, columns = np.mgrid[-4:5, -4:5]
    disc = np.hypot(rows, columns) <= 4
    total = np.zeros((SIDE, SIDE, 3))
    padded = np.pad(seen, ((4, 4), (4, 4), (0, 0)), mode="edge")
    for row, column in np.argwhere(disc):
        total += padded[row : row + SIDE, column : column + SIDE]
    return np.rint(total / disc.sum()).astype(np.uint8)


def _blurred(seen: Pixels, rng: Rng) -> Pixels:
    return np.asarray(Image.fromarray(seen).filter(ImageFilter.GaussianBlur(rng.uniform(2, 5))))


def _black(seen: Pixels, rng: Rng) -> Pixels:
    return np.clip(rng.normal(3, 2, seen.shape), 0, 255).astype(np.uint8)


def _overexposed(seen: Pixels, rng: Rng) -> Pixels:
    return np.clip(seen * rng.uniform(1.9, 3), 0, 255).astype(np.uint8)


# Frames that are not of a good part, nor of a damaged one: each with the checks that can be the reason.
SPOILT: dict[str, tuple[Callable[[Pixels, Rng], Pixels], tuple[str, ...]]] = {
    "black": (_black, ("the frame is black",)),
    "white": (lambda seen, rng: np.full_like(seen, 254), ("the frame is white",)),
    "one colour": (lambda seen, rng: np.full_like(seen, (90, 120, 60)), ("contrast", "sharpness")),
    "blurred": (_blurred, ("sharpness",)),
    "defocused": (_defocused, ("sharpness",)),
    "overexposed": (_overexposed, ("brightness", "clipped")),
    "underexposed": (lambda seen, rng: (seen * rng.uniform(0.2, 0.5)).astype(np.uint8), ("brightness",)),
    "upside down": (lambda seen, rng: seen[::-1, ::-1], ("layout",)),
}
WRONG_PRODUCT = ("layout", "embedding", "brightness", "contrast", "saturation", "sharpness", "clipped")
