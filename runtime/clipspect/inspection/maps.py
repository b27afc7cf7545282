"""The model's anomaly map in the source image's size: bilinear, whole or only where something is over a limit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.frame.views import Box

Map = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-6  # several times what the means of two pixels can be off in float32
_STRIP = 32  # rows at a time: what is made in between stays small, in the processor's cache and in used memory


@dataclass(frozen=True, eq=False)
class _Taps:
    """Along one side: every source pixel is a mean of the model pixels `first` and `first + 1`."""

    first: npt.NDArray[np.intp]
    weights: Floats  # (pixels, 2), rows sum to 1; the second is 0 at the far edge

    def part(self, start: int, end: int) -> _Taps:
        return _Taps(self.first[start:end], self.weights[start:end])

    def near(self, low: int, high: int) -> tuple[int, int]:
        """The source pixels that the model pixels low to high (inclusive) have a part in; the end is exclusive."""
        return int(np.searchsorted(self.first, low - 1)), int(np.searchsorted(self.first, high, side="right"))


def to_source_size(anomaly_map: Map, width: int, height: int) -> Map:
    """The model's map (h, w) as float32 (height, width): bilinear, antialiased when shrinking, within its range.

    The values are those of PIL's resize. A map that has the size already is not copied.
    """
    return enlarge(anomaly_map, width, height, Box(0, 0, width, height))


def enlarge(anomaly_map: Map, width: int, height: int, box: Box) -> Map:
    """What lies in `box` of `to_source_size(anomaly_map, width, height)`."""
    rows, columns = anomaly_map.shape
    if (rows, columns) == (height, width):
        return anomaly_map[box.top : box.bottom, box.left : box.right]
    low, high = anomaly_map.min(), anomaly_map.max()
    if width < columns or height < rows:  # few pixels come out, and more than two go into one
        resized = np.asarray(Image.fromarray(anomaly_map).resize((width, height), Image.Resampling.BILINEAR))
        shrunk: Map = np.clip(resized[box.top : box.bottom, box.left : box.right], low, high)
        return shrunk
    down, across = _taps(rows, height), _taps(columns, width).part(box.left, box.right)
    out = np.empty((box.bottom - box.top, box.right - box.left), np.float32)
    room = np.empty((2, _STRIP, out.shape[1]))
    for start in range(box.top, box.bottom, _STRIP):
        taps = down.part(start, min(start + _STRIP, box.bottom))
        strip = out[start - box.top :][: taps.first.size]
        top = int(taps.first[0])
        wide = _widen(anomaly_map[top : int(taps.first[-1]) + 2], across)
        above, below = room[:, : len(strip)]
        # no index is beyond the last row but the second of the last pixels, whose weight is 0
        np.take(wide, taps.first - top, axis=0, out=above, mode="clip")
        np.take(wide, taps.first - top + 1, axis=0, out=below, mode="clip")
        above *= taps.weights[:, :1]
        below *= taps.weights[:, 1:]
        np.add(above, below, out=strip, casting="same_kind")
    return np.clip(out, low, high, out=out)


def box_over(anomaly_map: Map, width: int, height: int, limit: float) -> Box | None:
    """A box of the source image with all pixels that can be over the limit; None when there are none.

    No mean is larger than the larger of its parts: what two neighbours at the limit make is not over it.
    """
    over = anomaly_map > limit
    rows, columns = np.flatnonzero(over.any(axis=1)), np.flatnonzero(over.any(axis=0))
    if rows.size == 0:
        return None
    if over.shape == (height, width):
        return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    if width < over.shape[1] or height < over.shape[0]:
        return Box(0, 0, width, height)
    left, right = _taps(over.shape[1], width).near(int(columns[0]), int(columns[-1]))
    top, bottom = _taps(over.shape[0], height).near(int(rows[0]), int(rows[-1]))
    return Box(left, top, right, bottom)


def peak_in_source(anomaly_map: Map, width: int, height: int) -> float:
    """`to_source_size(anomaly_map, width, height).max()`, and little more is made than what can be the largest value.

    The largest value beside the map's own largest is a bound: model pixels below it have no part in a larger one.
    """
    rows, columns = anomaly_map.shape
    if rows < height or columns < width:
        row, column = divmod(int(anomaly_map.argmax()), columns)
        alone = np.zeros_like(anomaly_map)
        alone[row, column] = 1
        beside = box_over(alone, width, height, 0.5)
        assert beside is not None
        bound = float(enlarge(anomaly_map, width, height, beside).max())
        box = box_over(anomaly_map, width, height, bound - _ROUNDING * float(np.abs(anomaly_map).max()))
        if box is not None:
            return float(enlarge(anomaly_map, width, height, box).max())
    return float(to_source_size(anomaly_map, width, height).max())


def _widen(anomaly_map: Map, taps: _Taps) -> Floats:
    """Rows (h, w) to (h, taps), rounded to float32 in between as PIL does."""
    wide: Floats = np.take(anomaly_map, taps.first, axis=1) * taps.weights[:, 0]
    wide += np.take(anomaly_map, taps.first + 1, axis=1, mode="clip") * taps.weights[:, 1]
    return wide.astype(np.float32).astype(np.float64)


@lru_cache(maxsize=32)
def _taps(size: int, target: int) -> _Taps:
    """PIL's bilinear filter for enlarging: a triangle of width 1 around each pixel's centre, edges cut off."""
    centre = (np.arange(target) + 0.5) * (size / target)
    first = np.clip((centre - 1 + 0.5).astype(np.intp), 0, size - 1)
    weights = np.maximum(1 - np.abs(np.stack([first, first + 1], axis=1) - centre[:, None] + 0.5), 0)
    weights[first + 1 == size, 1] = 0
    return _Taps(first, weights * (1 / weights.sum(axis=1, keepdims=True)))
