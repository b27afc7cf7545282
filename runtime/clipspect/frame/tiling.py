"""Tiles: a frame that is much larger than the model's input is seen part by part. docs/bundle-format.md specifies them.

Integers alone, so that every language cuts a frame in the same places.
"""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.base.errors import ImageError, RecipeError
from clipspect.frame.views import Box, View

OVERLAP = 25  # per cent, by default
MOST_OVERLAP = 75
MOST_TILES = 1000  # of a frame: more is hardly meant


@dataclass(frozen=True)
class Tiling:
    """Tiles of one size, spread evenly over a frame: either their size or their number is given.

    A tile's side is never longer than the frame's. All tiles of a frame have the same size, and neighbours share at
    least `overlap` per cent of a side, to a pixel.
    """

    size: tuple[int, int] | None = None  # of a tile: width and height in pixels of the frame
    grid: tuple[int, int] | None = None  # columns and rows
    overlap: int = OVERLAP

    def __post_init__(self) -> None:
        if (self.size is None) == (self.grid is None):
            raise RecipeError("tiling: give either the size of a tile or the grid of columns and rows")
        if min(self.size or self.grid or ()) < 1:
            raise RecipeError(f"tiling: expected numbers from 1, found {_pair(self.size or self.grid or ())}")
        if not 0 <= self.overlap <= MOST_OVERLAP:
            raise RecipeError(f"tiling: expected an overlap of 0 to {MOST_OVERLAP} per cent, found {self.overlap}")
        if self.grid is not None and self.grid[0] * self.grid[1] > MOST_TILES:
            raise RecipeError(f"tiling: a grid of {_pair(self.grid)} has more than {MOST_TILES} tiles: take fewer")

    def views(self, box: Box) -> tuple[View, ...]:
        """The tiles of a rectangle of a frame, row by row. Raises ImageError where they are too many, or too small."""
        columns, rows = (self._sides(length, axis) for axis, length in enumerate(box.size))
        if len(columns) * len(rows) > MOST_TILES:
            raise ImageError(
                f"{_pair(box.size)} pixels make {len(columns)} x {len(rows)} tiles of {_pair(self.size or ())}, more "
                f"than {MOST_TILES}: make the recipe again with larger tiles"
            )
        tiles = [
            Box(box.left + left, box.top + top, box.left + right, box.top + bottom)
            for top, bottom in rows
            for left, right in columns
        ]
        return tuple(View(tile, tile) for tile in tiles)

    def _sides(self, length: int, axis: int) -> list[tuple[int, int]]:
        """Of the tiles along one axis of so many pixels the first pixel and the end. Raises ImageError."""
        unique = 100 - self.overlap  # per cent of a side that a tile does not share with the one before
        if self.size is not None:
            side = min(self.size[axis], length)
            step = max(side * unique // 100, 1)
            count = 1 - (side - length) // step  # 1 + (length - side) / step, rounded up
        else:
            assert self.grid is not None
            count = self.grid[axis]
            side = -(-100 * length // (100 + (count - 1) * unique))
        room = length - side
        if room < count - 1:
            raise ImageError(f"a side of {length} pixels is too short for {count} tiles: take fewer, or larger frames")
        starts = [index * room // max(count - 1, 1) for index in range(count)]
        return [(start, start + side) for start in starts]

    @property
    def digits(self) -> str:
        """Size, grid and overlap in one line; 0 for what is not given."""
        return " ".join(map(str, (*(self.size or (0, 0)), *(self.grid or (0, 0)), self.overlap)))

    def words(self) -> str:
        """For people."""
        what = f"tiles of {_pair(self.size)} pixels" if self.size else f"{_pair(self.grid or ())} tiles"
        return f"{what}, overlapping by {self.overlap}%"


def _pair(pair: tuple[int, ...]) -> str:
    return " x ".join(map(str, pair))
