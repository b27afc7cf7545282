"""What a frame looks like in a few numbers, whatever it shows: light, colour, sharpness, and how it is laid out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

GRID = 4  # cells a side that the layout is made of: a defect fills few of them, another scene differs in many
LAYOUT_LENGTH = 3 * GRID * GRID
_INNER, _BEFORE, _AFTER = slice(1, -1), slice(None, -2), slice(2, None)
_NEIGHBOURS = ((_BEFORE, _INNER), (_AFTER, _INNER), (_INNER, _BEFORE), (_INNER, _AFTER))  # rows, columns
DARK, BRIGHT = 5, 250  # a sample up to the one, or from the other, is clipped


@dataclass(frozen=True)
class Quality:
    """Of the model's inputs. Quantities are grey levels, 0 to 255, but for `clipped`.

    They are sums of integers and a few operations in double precision: docs/bundle-format.md has the formulas.
    """

    brightness: float  # mean
    contrast: float  # standard deviation
    saturation: float  # mean of a pixel's largest sample minus its smallest: 0 for grey
    clipped: float  # share of the samples, 0 to 1, that are as dark or as bright as a camera can say
    sharpness: float  # mean absolute Laplacian
    layout: tuple[float, ...] = field(repr=False)  # mean of each cell and channel minus the mean of all, row-major


def measure(pixels: npt.NDArray[np.uint8], judged: npt.NDArray[np.bool_] | None = None) -> Quality:
    """The quality of a frame by its views in the model's size, uint8 RGB (V, H, W, 3); a third of a millisecond at 240
    pixels. With `judged` (V, H, W), of these pixels alone, which are some.

    A blur shows in the sharpness from a standard deviation of about 0.4 of a model's pixel, which is where a model
    begins to see it: of photographs of 576 x 768 in a model of 240, from 0.7 of the photograph's own.
    """
    if judged is not None:
        return _of_judged(pixels, judged)
    views, height, width, _ = pixels.shape
    levels = np.zeros(256, np.int64)  # pixels of each grey level
    cells = np.zeros((GRID, GRID, 3), np.int64)
    rows, columns = _cells(height), _cells(width)
    clipped = spread = edges = 0
    for view in pixels:
        picture = Image.fromarray(view).convert("L")
        levels += picture.histogram()
        edges += _absolute_laplacian(np.asarray(picture).astype(np.int16))
        clipped += np.count_nonzero(view <= DARK) + np.count_nonzero(view >= BRIGHT)
        spread += _spread(view)
        in_rows = np.add.reduceat(view, rows, axis=0, dtype=np.uint32)
        cells += np.add.reduceat(in_rows, columns, axis=1, dtype=np.int64)
    count = views * height * width
    values = np.arange(256)
    total, squares = int(levels @ values), int(levels @ values**2)
    sides = np.diff([*rows, height])[:, None], np.diff([*columns, width])
    means = cells / (views * sides[0] * sides[1])[..., None]  # (GRID, GRID, 3)
    return Quality(
        brightness=total / count,
        contrast=math.sqrt(count * squares - total * total) / count,
        saturation=spread / count,
        clipped=clipped / (3 * count),
        sharpness=edges / (views * max((height - 2) * (width - 2), 1)),
        layout=tuple((means - means.mean()).ravel().tolist()),
    )


def _of_judged(pixels: npt.NDArray[np.uint8], judged: npt.NDArray[np.bool_]) -> Quality:
    """Cells are those of the judged pixels' box; one without any has the mean of the others. The Laplacian is of pixels
    that are judged as their four neighbours are."""
    grey = np.stack([np.asarray(Image.fromarray(view).convert("L")) for view in pixels])
    levels, samples = grey[judged].astype(np.int64), pixels[judged].astype(np.int64)  # (N,), (N, 3)
    count, total = levels.size, int(levels.sum())
    inner = judged[:, 1:-1, 1:-1].copy()
    for rows, columns in _NEIGHBOURS:
        inner &= judged[:, rows, columns]
    edges = 4 * grey[:, 1:-1, 1:-1].astype(np.int16)
    for rows, columns in _NEIGHBOURS:
        edges -= grey[:, rows, columns]
    return Quality(
        brightness=total / count,
        contrast=math.sqrt(count * int((levels**2).sum()) - total * total) / count,
        saturation=_spread(pixels[judged][None]) / count,
        clipped=(np.count_nonzero(samples <= DARK) + np.count_nonzero(samples >= BRIGHT)) / (3 * count),
        sharpness=int(np.abs(edges[inner]).sum(dtype=np.int64)) / max(int(np.count_nonzero(inner)), 1),
        layout=_layout_of_judged(pixels, judged),
    )


def _layout_of_judged(pixels: npt.NDArray[np.uint8], judged: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    seen: npt.NDArray[np.bool_] = np.logical_or.reduce(judged)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    across, down = (line[0] + np.arange(GRID + 1) * (line[-1] + 1 - line[0]) // GRID for line in (columns, rows))
    means = np.full((GRID, GRID, 3), np.nan)
    for y in range(GRID):
        for x in range(GRID):
            cell = np.s_[:, down[y] : down[y + 1], across[x] : across[x + 1]]
            if (number := np.count_nonzero(judged[cell])) > 0:
                means[y, x] = pixels[cell][judged[cell]].sum(axis=0, dtype=np.int64) / number
    found = ~np.isnan(means)
    return tuple(np.where(found, means - means[found].mean(), 0).ravel().tolist())


def _cells(length: int) -> npt.NDArray[np.int64]:
    """The first row or column of each cell."""
    return np.arange(GRID) * length // GRID


def _absolute_laplacian(grey: npt.NDArray[np.int16]) -> int:
    """The sum of |4 c - its four neighbours| over all pixels that have four."""
    edges = 4 * grey[1:-1, 1:-1]
    for neighbour in (grey[:-2, 1:-1], grey[2:, 1:-1], grey[1:-1, :-2], grey[1:-1, 2:]):
        edges -= neighbour
    return int(np.abs(edges).sum(dtype=np.int64))


def _spread(view: npt.NDArray[np.uint8]) -> int:
    """The sum of each pixel's largest sample minus its smallest."""
    red, green, blue = np.ascontiguousarray(view.transpose(2, 0, 1))
    return int(
        (np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)).sum(dtype=np.int64)
    )
