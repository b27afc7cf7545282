"""What a recipe looks at: the one place where a frame's size becomes its views."""

from __future__ import annotations

from dataclasses import dataclass

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
        """Of a frame of that size, less tiles without a judged pixel. Raises ImageError where it cannot be cut so."""
        box = self.box(width, height)
        if self.tiling is None:
            return (View(box, box),)
        tiles = self.tiling.views(box)
        if self.region_of_interest is None:
            return tiles
        judged = self.region_of_interest.mask(width, height)
        return tuple(tile for tile in tiles if judged[tile.placement.slices].any())


WHOLE = Viewing()
