"""The region of interest in pictures for people: what is not judged lies in the dark, and an outline runs around it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from clipspect.frame.judged_area import JudgedArea
from clipspect.frame.region_of_interest import CROP, RegionOfInterest
from clipspect.sinks.outline import outline

_OUTLINE = (86, 180, 233)  # a blue that colour-blind people tell from the colours of verdicts
_LEFT = 0.35  # of the light of what is not judged


def draw_judged(picture: Image.Image, area: JudgedArea | None) -> Image.Image:
    """An RGB picture of a whole frame, with what is not judged in the dark; itself where all is."""
    return picture if area is None else _drawn(picture, area.mask(*picture.size))


def draw_region(picture: Image.Image, region: RegionOfInterest) -> Image.Image:
    """The region on a picture of a frame, and for a crop the rectangle that the model sees."""
    mask = region.mask(*picture.size)
    drawn = _drawn(picture.convert("RGB"), mask)
    if region.mode == CROP:
        box = region.box(*picture.size)
        line = max(1, round(max(picture.size) / 400))
        edge = (box.left, box.top, box.right - 1, box.bottom - 1)
        ImageDraw.Draw(drawn).rectangle(edge, outline=(255, 255, 255), width=line)
    return drawn


def _drawn(picture: Image.Image, judged: npt.NDArray[np.bool_]) -> Image.Image:
    dark = Image.fromarray((np.asarray(picture.convert("L"), np.float32) * _LEFT).astype(np.uint8)).convert("RGB")
    return outline(Image.composite(picture, dark, Image.fromarray(judged)), judged, _OUTLINE)
