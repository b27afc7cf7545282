"""What a frame looks like in a few numbers, whatever it shows: light, colour, sharpness, and how it is laid out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

GRID = 4  # cells a side that the layout is made of: a defect fills few of them, another scene differs in many
LAYOUT_LENGTH = 3 * GRID * GRID
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


def measure(pixels: npt.NDArray[np.uint8]) -> Quality:
    """The quality of a frame by its views in the model's size, uint8 RGB (V, H, W, 3); a third of a millisecond at 240
    pixels.

    A blur shows in the sharpness from a standard deviation of about 0.4 of a model's pixel, which is where a model
    begins to see it: of photographs of 576 x 768 in a model of 240, from 0.7 of the photograph's own.
    """
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
