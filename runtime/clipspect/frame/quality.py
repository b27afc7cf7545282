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
    levels = np.zeros(256, np.int64)  # pixels of each grey level
    clipped = spread = edges = inner_count = 0
    shown = pixels * judged[..., None]  # black where it is not judged
    for view, mask, seen in zip(pixels, judged, shown):
        picture = Image.fromarray(view).convert("L")
        levels += picture.histogram(Image.fromarray(mask))
        clipped += np.count_nonzero(seen <= DARK) - 3 * np.count_nonzero(~mask) + np.count_nonzero(seen >= BRIGHT)
        spread += _spread(seen)
        inner = mask[1:-1, 1:-1].copy()
        for rows, columns in _NEIGHBOURS:
            inner &= mask[rows, columns]
        inner_count += np.count_nonzero(inner)
        edges += _absolute_laplacian(np.asarray(picture).astype(np.int16), inner)
    values = np.arange(256)
    count, total, squares = int(levels.sum()), int(levels @ values), int(levels @ values**2)
    return Quality(
        brightness=total / count,
        contrast=math.sqrt(count * squares - total * total) / count,
        saturation=spread / count,
        clipped=clipped / (3 * count),
        sharpness=edges / max(inner_count, 1),
        layout=_layout_of_judged(shown, judged),
    )


def _layout_of_judged(shown: npt.NDArray[np.uint8], judged: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    seen: npt.NDArray[np.bool_] = np.logical_or.reduce(judged)
    down, across = (_cells_of(np.logical_or.reduce(seen, axis=axis)) for axis in (1, 0))  # (GRID, H), (GRID, W)
    counts = down @ judged.sum(axis=0, dtype=np.float64) @ across.T
    sums = np.einsum("yh,hwc,xw->yxc", down, shown.sum(axis=0, dtype=np.float64), across, optimize=True)
    found = np.broadcast_to((counts > 0)[..., None], sums.shape)
    means = sums / np.maximum(counts, 1)[..., None]
    return tuple(np.where(found, means - means[found].mean(), 0).ravel().tolist())


def _cells_of(seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Which pixels of a side are in each cell, (GRID, length): 1, else 0; cells share what lies between those seen."""
    first, *_, last = np.flatnonzero(seen)[[0, -1]]
    edges = first + np.arange(GRID + 1) * (last + 1 - first) // GRID
    place = np.arange(len(seen))
    cells: npt.NDArray[np.float64] = ((edges[:-1, None] <= place) & (place < edges[1:, None])).astype(np.float64)
    return cells


def _cells(length: int) -> npt.NDArray[np.int64]:
    """The first row or column of each cell."""
    return np.arange(GRID) * length // GRID


def _absolute_laplacian(grey: npt.NDArray[np.int16], inner: npt.NDArray[np.bool_] | None = None) -> int:
    """The sum of |4 c - its four neighbours| over all pixels that have four, or over those that are `inner`."""
    edges = 4 * grey[1:-1, 1:-1]
    for rows, columns in _NEIGHBOURS:
        edges -= grey[rows, columns]
    edges = np.abs(edges)
    return int((edges if inner is None else edges[inner]).sum(dtype=np.int64))


def _spread(view: npt.NDArray[np.uint8]) -> int:
    """The sum of each pixel's largest sample minus its smallest."""
    red, green, blue = np.ascontiguousarray(view.transpose(2, 0, 1))
    return int(
        (np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)).sum(dtype=np.int64)
    )
