"""What of one frame is judged: its region of interest, where the part lies."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from clipspect.frame.alignment import Alignment, cell_side, cells_of, locate, small_grey
from clipspect.frame.region_of_interest import NO_SHIFT, Mask, RegionOfInterest, Shift
from clipspect.frame.views import Box

_FAULTS = {
    "weak": "the part is not found: what is most like it has a correlation of {likeness:.2f}",
    "far": "the part lies {shift} pixels off, farther than {reach}",
    "ambiguous": "the part may lie in several places, which look alike",
    "outside": "the part lies {shift} pixels off, where the region leaves the frame",
}


@dataclass(frozen=True, eq=False)
class JudgedArea:
    """The region of interest in one frame; a part that has shifted takes it along."""

    region: RegionOfInterest
    frame_size: tuple[int, int]  # width, height
    shift: Shift = NO_SHIFT
    fault: str = ""  # why nothing of the frame is judged; empty: something is

    def mask(self, width: int, height: int) -> Mask:
        """The judged pixels (height, width) of a picture of that size, which shows the whole frame; read-only."""
        if self.fault:
            return np.zeros((height, width), bool)
        return self.region.mask(width, height, self.shift)

    def mask_of_view(self, crop: Box, width: int, height: int) -> Mask:
        """The judged pixels (height, width) of a picture of that size, which shows `crop` of the frame."""
        if crop == Box(0, 0, *self.frame_size):
            return self.mask(width, height)
        if self.fault:
            return np.zeros((height, width), bool)
        if crop.size == (width, height) and self.shift == NO_SHIFT:  # its pixels are the frame's own
            return self.region.mask(*self.frame_size)[crop.top : crop.bottom, crop.left : crop.right]
        return self.region.mask_of_view(crop, self.frame_size, (width, height), self.shift)


def judged_area(
    region: RegionOfInterest, frame_size: tuple[int, int], crop: Box, pixels: npt.NDArray[np.uint8]
) -> JudgedArea:
    """Of a frame, of which `pixels` (H, W, 3) shows `crop` in the model's size. A frame of another aspect, a too small
    one, and one in which the part is not found have none.
    """
    if not region.fits(*frame_size):
        drawn = f"{region.frame_size[0]} x {region.frame_size[1]}"
        fault = f"the frame is {frame_size[0]} x {frame_size[1]}, the region was drawn on {drawn}"
        return _nothing(region, frame_size, fault)
    shift, fault = NO_SHIFT, ""
    if region.alignment is not None:
        shift, fault = _aligned(region, region.alignment, frame_size, pixels)
        if fault:
            return _nothing(region, frame_size, fault)
    area = JudgedArea(region, frame_size, shift)
    height, width = pixels.shape[:2]
    if not area.mask_of_view(crop, width, height).any():
        fault = f"no pixel of the model's {width} x {height} lies in it: draw it larger, or choose the mode crop"
        return _nothing(region, frame_size, fault)
    return area


def _nothing(region: RegionOfInterest, frame_size: tuple[int, int], fault: str) -> JudgedArea:
    return JudgedArea(region, frame_size, fault=f"region of interest: {fault}")


def _aligned(
    region: RegionOfInterest, alignment: Alignment, frame_size: tuple[int, int], pixels: npt.NDArray[np.uint8]
) -> tuple[Shift, str]:
    """How far the part has shifted, and why it may not be judged there."""
    height, width = pixels.shape[:2]
    step = cell_side(width, height)
    place = locate(small_grey(pixels), alignment.levels, cells_of(region.mask(width, height)), alignment.reach)
    shift = Fraction(step * place.shift[0], width), Fraction(step * place.shift[1], height)
    fault = place.fault or ("" if region.stays_inside(shift) else "outside")
    if not fault:
        return shift, ""
    off = (round(by * side) for by, side in zip(shift, frame_size, strict=True))
    reach = reach_in_pixels(alignment, (width, height), frame_size)
    said = {"likeness": place.likeness, "shift": "{}, {}".format(*off), "reach": "{}, {}".format(*reach)}
    return shift, _FAULTS[fault].format(**said)


def reach_in_pixels(alignment: Alignment, model_size: tuple[int, int], frame_size: tuple[int, int]) -> tuple[int, int]:
    """How far a part may lie off, across and down, in a frame of that size (width, height)."""
    step = cell_side(*model_size)
    across, down = (
        round(Fraction(step * cells * side, model))
        for cells, model, side in zip(alignment.reach, model_size, frame_size)
    )
    return across, down
