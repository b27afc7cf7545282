"""How far a picture has moved since the one before, as on a belt: one shift for all of it, by phase correlation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.frame.phase_correlation import Floats, phase_correlation

_CELLS = 128  # of the longer side that are compared, at most
_CLEAR = 0.05  # of the correlation, which is 1 where all has moved alike; noise alone reaches 0.03 somewhere


def shift_of(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> tuple[float, float] | None:
    """How far what `before` shows has moved right and down in `after`, pixels; both uint8 RGB (H, W, 3) of one size.

    Up to half a side can be told, to a fraction of a cell of 1/128 of the longer side. None where the pictures have no
    shift in common.
    """
    step = max(1, -(-max(after.shape[:2]) // _CELLS))
    one, other = (_windowed(picture, step) for picture in (before, after))
    surface = phase_correlation(one, other)
    row, column = divmod(int(surface.argmax()), surface.shape[1])
    if surface[row, column] < _CLEAR:
        return None
    right = _refined(surface[row], column)
    down = _refined(surface[:, column], row)
    return right * step, down * step


def _windowed(picture: npt.NDArray[np.uint8], step: int) -> Floats:
    """Grey, small, without its mean, and fading to the edges."""
    grey = np.asarray(Image.fromarray(np.ascontiguousarray(picture)).convert("L").reduce(step), np.float64)
    window = np.outer(np.hanning(grey.shape[0] + 2)[1:-1], np.hanning(grey.shape[1] + 2)[1:-1])
    windowed: Floats = (grey - grey.mean()) * window
    return windowed


def _refined(line: Floats, place: int) -> float:
    """The peak's place between cells, by a parabola through it and both neighbours; from the middle on negative."""
    size = len(line)
    left, middle, right = (float(line[(place + offset) % size]) for offset in (-1, 0, 1))
    curve = left - 2 * middle + right
    offset = 0.0 if curve >= 0 else 0.5 * (left - right) / curve
    return place + offset - size * (2 * place > size)
