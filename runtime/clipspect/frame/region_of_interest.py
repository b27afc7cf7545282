"""The region of interest: which pixels of a frame are judged. docs/bundle-format.md specifies it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import ImageError, RecipeError
from clipspect.frame.decode import MAX_PIXELS
from clipspect.frame.views import Box, same_aspect

Mask: TypeAlias = npt.NDArray[np.bool_]  # (height, width), True inside
Polygon: TypeAlias = tuple[tuple[int, int], ...]  # corners x, y between pixels: 0, 0 is the frame's upper left corner

MASK: Final = "mask"
CROP: Final = "crop"
_MOST_SIZES = 4  # of frames, whose masks are kept


@dataclass(frozen=True)
class Area:
    """Pixels of a frame: those in any of the polygons, and those of a mask; without either none.

    A pixel is in a polygon whose outline a line from its centre to the left crosses an odd number of times: where a
    polygon crosses itself, what it goes around twice is outside. A centre on an outline counts as to the right of it.
    """

    polygons: tuple[Polygon, ...] = ()
    runs: tuple[int, ...] = ()  # of a mask, row by row: how many pixels are outside, then inside, then outside, ...

    def __bool__(self) -> bool:
        return bool(self.polygons or self.runs)

    def mask(self, width: int, height: int) -> Mask:
        """The pixels of a frame of that size, which must be the one that it was drawn on."""
        if self.runs:
            inside = np.arange(len(self.runs)) % 2 == 1
            mask = np.repeat(inside, np.array(self.runs, np.int64)).reshape(height, width)
        else:
            mask = np.zeros((height, width), bool)
        for polygon in self.polygons:
            mask |= _filled(polygon, width, height)
        return mask


@dataclass(frozen=True)
class Alignment:
    """How a part that shifts is found: the frame, small and grey, is compared with the one that it was drawn on."""

    size: tuple[int, int]  # width and height of the small picture
    picture: str = field(repr=False)  # its grey levels, a byte each, row by row, as base64
    reach: int  # pixels of the frame that it was drawn on: a part that lies farther off is not judged


@dataclass(frozen=True)
class RegionOfInterest:
    """What of a frame is judged, drawn on a frame of `frame_size`. Frames of another size see it scaled."""

    frame_size: tuple[int, int]  # width, height
    judged: Area = Area()  # nothing: the whole frame
    ignored: Area = Area()  # of what is judged
    mode: Literal["mask", "crop"] = MASK  # the whole frame is encoded, or the region's box alone
    alignment: Alignment | None = None

    def __post_init__(self) -> None:
        width, height = self.frame_size
        if width < 1 or height < 1 or width * height > MAX_PIXELS:
            raise RecipeError(f"region of interest: no frame has the size {_size(self.frame_size)}: draw it again")
        for area in (self.judged, self.ignored):
            for polygon in area.polygons:
                _check_polygon(polygon, width, height)
            if area.runs and (min(area.runs) < 0 or sum(area.runs) != width * height):
                raise RecipeError(
                    f"region of interest: its mask has not the {width * height} pixels of a frame of "
                    f"{_size(self.frame_size)}: draw it again"
                )

    def fits(self, width: int, height: int) -> bool:
        """Whether a frame of that size has the aspect of the one that the region was drawn on."""
        return same_aspect((width, height), self.frame_size)

    def mask(self, width: int, height: int) -> Mask:
        """The judged pixels of a frame of that size, read-only: each is what lies at its centre in the frame that was
        drawn on. Raises ImageError where none is left.
        """
        found = self._masks.get((width, height))
        if found is None:
            found = self._scaled(width, height)
            found.flags.writeable = False
            while len(self._masks) >= _MOST_SIZES:
                self._masks.pop(next(iter(self._masks)), None)
            self._masks[width, height] = found
        return found

    def box(self, width: int, height: int) -> Box:
        """The smallest rectangle of a frame of that size with all of its judged pixels. Raises ImageError."""
        mask = self.mask(width, height)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)

    @cached_property
    def drawn(self) -> Mask:
        """The judged pixels of the frame that was drawn on; perhaps none."""
        width, height = self.frame_size
        mask = self.judged.mask(width, height) if self.judged else np.ones((height, width), bool)
        if self.ignored:
            mask &= ~self.ignored.mask(width, height)
        return mask

    @cached_property
    def _masks(self) -> dict[tuple[int, int], Mask]:
        return {}

    def _scaled(self, width: int, height: int) -> Mask:
        across, down = self.frame_size
        mask = self.drawn[_centres(height, down)[:, None], _centres(width, across)]
        if not mask.any():
            raise ImageError(
                f"region of interest: nothing of it is left in a frame of {width} x {height}; it was drawn on one of "
                f"{_size(self.frame_size)}: inspect such frames, or draw it again with: clipspect roi"
            )
        return mask


def area_of(mask: Mask) -> Area:
    """The area that a mask is."""
    flat = mask.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    start = [0] if flat[0] else []  # no pixel is outside before the first that is inside
    return Area(runs=(*start, *np.diff([0, *edges, flat.size]).tolist()))


def _filled(polygon: Polygon, width: int, height: int) -> Mask:
    """The pixels in a polygon, by integers alone."""
    toggles = np.zeros((height, width + 1), bool)  # where a row's line goes in or out; the last column is outside
    for ends in zip(polygon, (*polygon[1:], polygon[0])):
        (x, y), (x2, y2) = sorted(ends, key=lambda corner: corner[1])  # downwards; a level edge has no row
        rows = np.arange(y, y2)
        # twice the x where the edge is at the row's centre, as a fraction; then the first centre that is not left of it
        twice = 2 * x * (y2 - y) + (2 * rows + 1 - 2 * y) * (x2 - x)
        first = -((y2 - y - twice) // max(2 * (y2 - y), 1))
        toggles[rows, first] ^= True
    inside: Mask = np.bitwise_xor.accumulate(toggles, axis=1)[:, :width]
    return inside


def _check_polygon(polygon: Sequence[tuple[int, int]], width: int, height: int) -> None:
    if len(polygon) < 3:
        raise RecipeError(f"region of interest: a polygon of {len(polygon)} corners: give three at least")
    for x, y in polygon:
        if not (0 <= x <= width and 0 <= y <= height):
            raise RecipeError(
                f"region of interest: the corner {x},{y} is outside of the frame of {width} x {height}: corners are "
                f"x from 0 to {width} and y from 0 to {height}"
            )


def _centres(size: int, drawn: int) -> npt.NDArray[np.int64]:
    """For each pixel of a side the one of the drawn side that its centre lies in."""
    return (2 * np.arange(size, dtype=np.int64) + 1) * drawn // (2 * size)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
