"""What a recipe looks at: the one place where a frame's size becomes its views."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipspect.frame.judged_area import JudgedArea, judged_area
from clipspect.frame.region_of_interest import CROP, RegionOfInterest
from clipspect.frame.tiling import Tiling
from clipspect.frame.views import Box, View


@dataclass(frozen=True)
class Viewing:
    """All of a recipe that decides which views a frame has. A frame that was prepared for another has to be prepared
    again.
    """

    region_of_interest: RegionOfInterest | None = None  # None: all of a frame
    tiling: Tiling | None = None  # None: the frame, or its region's box, is one view

    def box(self, width: int, height: int) -> Box:
        """The part of a frame of that size that its views lie in. Raises ImageError where nothing is judged of it."""
        region = self.region_of_interest
        return Box(0, 0, width, height) if region is None or region.mode != CROP else region.box(width, height)

    def views(self, width: int, height: int) -> tuple[View, ...]:
        """Of a frame of that size, less tiles without a judged pixel. Raises ImageError where it cannot be cut."""
        box = self.box(width, height)
        if self.tiling is None:
            return (View(box, box),)
        tiles = self.tiling.views(box)
        region = self.region_of_interest
        if region is None or region.alignment is not None:  # where the part lies is not known yet
            return tiles
        judged = region.mask(width, height)
        return tuple(tile for tile in tiles if judged[tile.placement.slices].any()) or tiles

    def judged(self, frame_size: tuple[int, int], box: Box, pixels: npt.NDArray[np.uint8]) -> JudgedArea | None:
        """What is judged of a frame whose `box` the pixels (H, W, 3) show in the model's size; None: all of it."""
        region = self.region_of_interest
        return None if region is None else judged_area(region, frame_size, box, pixels)


WHOLE = Viewing()
