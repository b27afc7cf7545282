"""Rotated copies of a photo, as AnomalyDINO makes them with OpenCV 4.10: equal to it in every bit.

OpenCV turns in fixed point: places in 1/32 of a pixel, from sums in 1/1024, and weights in 1/32768.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

STEPS = 8  # of 45 degrees, counter-clockwise, the photo as it is among them

_PLACES, _SUBPIXEL, _WEIGHTS = 1 << 10, 1 << 5, 1 << 15
_ROUND = _PLACES // _SUBPIXEL // 2  # what makes a shift to 1/32 round to the nearest
_SHIFT = 5  # from 1/1024 to 1/32

Pixels = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.int32]


def turned(photo: Pixels, step: int) -> Pixels:
    """The photo (H, W, 3) turned by so many STEPS of the whole circle about (W / 2, H / 2), in its own size.

    Bilinear; what comes from beyond an edge is mirrored, the edge pixel not repeated.
    """
    if step % STEPS == 0:
        return photo
    height, width = photo.shape[:2]
    x, y = _source_places(width, height, 360 * step / STEPS)
    left, top = x >> _SHIFT, y >> _SHIFT
    right, down = x & (_SUBPIXEL - 1), y & (_SUBPIXEL - 1)
    columns = _mirrored(left, width), _mirrored(left + 1, width)
    rows = _mirrored(top, height), _mirrored(top + 1, height)
    across, along = (_SUBPIXEL - right, right), (_SUBPIXEL - down, down)
    total = np.full((height, width, photo.shape[2]), _WEIGHTS // 2, np.int32)
    for row, of_row in zip(rows, along):
        for column, of_column in zip(columns, across):
            weight = of_row * of_column * (_WEIGHTS // _SUBPIXEL**2)  # (H, W)
            total += weight[..., None] * photo[row, column]
    found: Pixels = (total // _WEIGHTS).astype(np.uint8)
    return found


def _source_places(width: int, height: int, degrees: float) -> tuple[_Places, _Places]:
    """Where each pixel comes from, in 1/32 of a pixel: two arrays (H, W)."""
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    centre_x, centre_y = width / 2, height / 2
    # OpenCV makes the matrix of the turn in float64, and inverts it
    forward_x = (1 - cosine) * centre_x - sine * centre_y
    forward_y = sine * centre_x + (1 - cosine) * centre_y
    determinant = 1 / (cosine * cosine + sine * sine)
    a, b = cosine * determinant, -sine * determinant
    d, e = sine * determinant, cosine * determinant
    offset_x, offset_y = -a * forward_x - b * forward_y, -d * forward_x - e * forward_y
    columns, rows = np.arange(width), np.arange(height)[:, None]
    places = []
    for of_column, of_row, offset in ((a, b, offset_x), (d, e, offset_y)):
        by_column = np.rint(of_column * columns * _PLACES).astype(np.int32)
        by_row = np.rint((of_row * rows + offset) * _PLACES).astype(np.int32)
        places.append((by_column + by_row + _ROUND) >> _SHIFT)
    return places[0], places[1]


def _mirrored(places: _Places, length: int) -> _Places:
    """Places within 0 to length - 1: d c b | a b c d | c b a."""
    if length == 1:
        return np.zeros_like(places)
    period = 2 * (length - 1)
    inside = np.mod(places, period)
    found: _Places = np.minimum(inside, period - inside)
    return found
