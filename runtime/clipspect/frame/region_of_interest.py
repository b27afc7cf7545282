"""The region of interest: which pixels of a frame are judged. docs/bundle-format.md specifies it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import ImageError, RecipeError
from clipspect.frame.alignment import Alignment
from clipspect.frame.input_limits import MAX_PIXELS
from clipspect.frame.views import Box, same_aspect

Mask: TypeAlias = npt.NDArray[np.bool_]  # (height, width), True inside
Polygon: TypeAlias = tuple[tuple[int, int], ...]  # corners x, y between pixels: 0, 0 is the frame's upper left corner

Shift: TypeAlias = tuple[Fraction, Fraction]  # right and down, in shares of the frame's width and height

MASK: Final = "mask"
CROP: Final = "crop"
NO_SHIFT = (Fraction(0), Fraction(0))
_MOST_MASKS = 4  # that are kept


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
        if self.mode == CROP and self.alignment is not None:
            raise RecipeError("region of interest: a crop is not aligned: choose the mode mask, or leave alignment out")

    def fits(self, width: int, height: int) -> bool:
        """Whether a frame of that size has the aspect of the one that the region was drawn on."""
        return same_aspect((width, height), self.frame_size)

    def mask(self, width: int, height: int, shift: Shift = NO_SHIFT) -> Mask:
        """The judged pixels of a frame of that size, read-only and perhaps none: each is what lies at its centre in the
        frame that was drawn on. `shift` is how far the part lies right and below of there, in shares of the frame.
        """
        key = (width, height, shift)
        found = self._masks.get(key)
        if found is None:
            found = self.mask_of_view(Box(0, 0, width, height), (width, height), (width, height), shift)
            found.flags.writeable = False
            for oldest in list(self._masks)[: 1 - _MOST_MASKS]:  # a copy: other threads keep masks, too
                self._masks.pop(oldest, None)
            self._masks[key] = found
        return found

    def mask_of_view(
        self, crop: Box, frame_size: tuple[int, int], size: tuple[int, int], shift: Shift = NO_SHIFT
    ) -> Mask:
        """The judged pixels of a picture of `size` that shows `crop` of a frame: what lies at their centres."""
        (width, height), (across, down) = frame_size, self.frame_size
        columns = _drawn_at(size[0], (crop.left, crop.width, width), across, shift[0])
        rows = _drawn_at(size[1], (crop.top, crop.height, height), down, shift[1])
        mask = self.drawn[np.clip(rows, 0, down - 1)[:, None], np.clip(columns, 0, across - 1)]
        mask[(rows < 0) | (rows >= down)] = False
        mask[:, (columns < 0) | (columns >= across)] = False
        return mask

    def box(self, width: int, height: int) -> Box:
        """The smallest rectangle of a frame of that size with all of its judged pixels. Raises ImageError."""
        mask = self.mask(width, height)
        if not mask.any():
            raise ImageError(self.nothing_left(width, height))
        return _box_of(mask)

    def nothing_left(self, width: int, height: int) -> str:
        """What is to be said of a frame that is too small for the region."""
        return (
            f"region of interest: nothing of it is left in a frame of {width} x {height}; it was drawn on one of "
            f"{_size(self.frame_size)}: inspect such frames, or draw it again with: clipspect roi"
        )

    @cached_property
    def drawn(self) -> Mask:
        """The judged pixels of the frame that was drawn on; perhaps none."""
        width, height = self.frame_size
        mask = self.judged.mask(width, height) if self.judged else np.ones((height, width), bool)
        if self.ignored:
            mask &= ~self.ignored.mask(width, height)
        return mask

    @cached_property
    def seen_alone(self) -> bool:
        """Whether all that the model sees is judged: a crop of a rectangle."""
        box = _box_of(self.drawn)
        return self.mode == CROP and bool(self.drawn[box.slices].all())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what is judged and how, however it was drawn: limits belong to it."""
        digest = hashlib.sha256(f"{self.mode} {self.frame_size[0]} {self.frame_size[1]}\n".encode())
        digest.update(self.drawn.tobytes())
        if self.alignment is not None:
            numbers = (*self.alignment.size, *self.alignment.reach)
            digest.update(f"\n{' '.join(map(str, numbers))}\n".encode())
            digest.update(self.alignment.levels.tobytes())
        return digest.hexdigest()

    def stays_inside(self, shift: Shift) -> bool:
        """Whether all of the judged pixels are in the frame when the part lies so far from where it was drawn."""
        box = _box_of(self.drawn)
        return all(
            low + by * size >= 0 and high + by * size <= size
            for low, high, by, size in zip(
                (box.left, box.top), (box.right, box.bottom), shift, self.frame_size, strict=True
            )
        )

    @cached_property
    def _masks(self) -> dict[tuple[int, int, Shift], Mask]:
        return {}


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


def _drawn_at(count: int, part: tuple[int, int, int], drawn: int, shift: Fraction) -> npt.NDArray[np.int64]:
    """Where in the drawn side the centres of `count` pixels lie that make a part (first pixel, length, of how many).

    The centre of pixel k is at first + (2 k + 1) length / (2 count) of the side, less the shift; rounded down.
    """
    first, length, side = part
    common = math.gcd(first, length, side)
    first, length, side = first // common, length // common, side // common
    twice = 2 * count * first + (2 * np.arange(count, dtype=np.int64) + 1) * length
    moved = twice * shift.denominator - 2 * count * side * shift.numerator
    return moved * drawn // (2 * count * side * shift.denominator)


def _box_of(mask: Mask) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
