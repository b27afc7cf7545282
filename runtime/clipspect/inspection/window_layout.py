"""Where WinCLIP's windows lie: which patches they cover, and how values of windows and patches become a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from clipspect.bundle.windows_graph import WindowsGraph, window_starts
from clipspect.frame.spec import ImageSpec

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Chosen = Sequence[Bools]  # of each scale, whether a window of an image is meant, (N, windows)


@dataclass(frozen=True, eq=False)
class Scale:
    """The windows of one scale, row by row."""

    side: int  # of a window, in patches
    down: tuple[int, ...]  # the first patch of each row of windows, and of each column
    across: tuple[int, ...]
    covers_down: Floats  # (rows, windows down), 1 where a window covers a row of patches, else 0
    covers_across: Floats  # (columns, windows across)
    tokens: npt.NDArray[np.int64]  # (windows, 1 + side ** 2): of one image, 0 is the class token

    @property
    def windows(self) -> int:
        return len(self.tokens)

    def over_patches(self, values: Floats) -> Floats:
        """(N, windows) to (N, rows, columns): of each patch the sum over the windows that cover it."""
        square = values.reshape(-1, len(self.down), len(self.across))
        summed: Floats = self.covers_down @ square @ self.covers_across.T
        return summed

    def covering(self, patches: Bools) -> Bools:
        """(N, rows, columns) to (N, windows): the windows that cover any of these patches."""
        touched = self.covers_down.T @ patches.astype(np.float64) @ self.covers_across
        found: Bools = touched.reshape(len(patches), -1) > 0
        return found

    def cover(self, window: int) -> Floats:
        """(rows, columns): 1 where that window covers a patch, else 0."""
        row, column = divmod(window, len(self.across))
        found: Floats = np.outer(self.covers_down[:, row], self.covers_across[:, column])
        return found

    def apart(self, stride: int) -> Bools:
        """(windows,): those that are left where windows lie `stride` patches apart, the last of a row at the edge."""
        kept = [
            np.isin(starts, window_starts(len(covers), self.side, stride))
            for starts, covers in ((self.down, self.covers_down), (self.across, self.covers_across))
        ]
        found: Bools = np.logical_and.outer(*kept).ravel()
        return found


@dataclass(frozen=True, eq=False)
class Layout:
    """The windows of a bundle over its patches, and these over the pixels of the model's image."""

    grid: tuple[int, int]
    scales: tuple[Scale, ...]
    down: Floats  # (H, rows), bilinear: a row of pixels as a mean of rows of patches
    across: Floats  # (W, columns)

    def all(self, images: int) -> list[Bools]:
        """Every window of so many images."""
        return [np.ones((images, scale.windows), bool) for scale in self.scales]

    def apart(self, stride: int, images: int) -> list[Bools]:
        """Of so many images the windows that lie `stride` patches apart."""
        return [np.repeat(scale.apart(stride)[None], images, axis=0) for scale in self.scales]

    def covering(self, patches: Bools) -> list[Bools]:
        """The windows that cover any of the patches (N, rows, columns): what these patches' values are made of."""
        return [scale.covering(patches) for scale in self.scales]

    def patches_under(self, pixels: Bools) -> Bools:
        """(N, H, W) to (N, rows, columns): the patches that the map is made of there, with the ring that bilinear
        means reach."""
        touched = (self.down > 0).T.astype(np.float64) @ pixels.astype(np.float64) @ (self.across > 0).astype(float)
        found: Bools = touched > 0
        return found

    def squares(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """An image (H, W, 3) as its patches, row by row: (L, samples of a patch)."""
        rows, columns = self.grid
        height, width = len(self.down) // rows, len(self.across) // columns
        cut = image.reshape(rows, height, columns, width, 3).swapaxes(1, 2)
        squares: npt.NDArray[np.uint8] = cut.reshape(rows * columns, -1)
        return squares

    def around(self, patches: Bools) -> Bools:
        """(N, rows, columns): these patches and their neighbours, whose values the map has a part of between them."""
        wide = np.pad(patches, ((0, 0), (1, 1), (1, 1)))
        rows = wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]
        found: Bools = rows[..., :-2] | rows[..., 1:-1] | rows[..., 2:]
        return found

    def enlarged(self, patches: Floats) -> npt.NDArray[np.float32]:
        """(N, rows, columns) to the map (N, H, W)."""
        found: npt.NDArray[np.float32] = (self.down @ patches @ self.across.T).astype(np.float32)
        return found

    def share(self, chosen: Chosen) -> Floats:
        """(N,): the share of an image's tokens that these windows and the whole image have of all: of the work."""
        sizes = [scale.tokens.shape[1] for scale in self.scales]
        whole = 1 + self.grid[0] * self.grid[1]
        every = whole + sum(scale.tokens.size for scale in self.scales)
        asked = sum(own.sum(axis=1) * size for own, size in zip(chosen, sizes))
        return np.asarray((whole + asked) / every, np.float64)


@lru_cache(maxsize=8)
def layout_of(grid: tuple[int, int], scales: tuple[int, ...], stride: int, image: tuple[int, int]) -> Layout:
    """The layout of a grid of patches over an image (height, width)."""
    return Layout(
        grid,
        tuple(scale_of(grid, side, stride) for side in scales),
        _bilinear(image[0], grid[0]),
        _bilinear(image[1], grid[1]),
    )


def layout_of_graph(graph: WindowsGraph, image: ImageSpec) -> Layout:
    """The layout that a bundle's manifest describes."""
    return layout_of(tuple(graph.grid), tuple(graph.scales), graph.stride, (image.height, image.width))


@lru_cache(maxsize=32)
def scale_of(grid: tuple[int, int], side: int, stride: int) -> Scale:
    """The windows of `side` x `side` patches on a grid of patches, `stride` apart."""
    down, across = (window_starts(length, side, stride) for length in grid)
    reach = np.arange(side)
    rows, columns = (np.array(starts)[:, None] + reach for starts in (down, across))
    places = rows[:, None, :, None] * grid[1] + columns[None, :, None, :]  # of (windows down, across, side, side)
    patches = places.reshape(-1, side * side) + 1
    tokens = np.concatenate([np.zeros((len(patches), 1), np.int64), patches], axis=1).astype(np.int64)
    covers_down, covers_across = (covers(length, side, stride) for length in grid)
    return Scale(side, tuple(down), tuple(across), covers_down, covers_across, tokens)


def covers(length: int, side: int, stride: int) -> Floats:
    """(patches, windows) of a row of `length` patches: 1 where a window of `side` patches covers a patch, else 0."""
    patch, first = np.arange(length)[:, None], np.array(window_starts(length, side, stride))
    return ((first <= patch) & (patch < first + side)).astype(np.float64)


def _bilinear(pixels: int, patches: int) -> Floats:
    """(pixels, patches): linear interpolation along one side, pixel centres (align_corners=False), edges repeated."""
    position = np.clip((np.arange(pixels) + 0.5) * patches / pixels - 0.5, 0, patches - 1)
    lower = np.minimum(position.astype(np.int64), max(patches - 2, 0))
    matrix = np.zeros((pixels, patches))
    matrix[np.arange(pixels), lower] = 1 - (position - lower)
    if patches > 1:
        matrix[np.arange(pixels), lower + 1] = position - lower
    return matrix
