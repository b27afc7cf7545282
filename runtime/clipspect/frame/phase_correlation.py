"""Phase correlation: how well each shift brings one picture over another of its size (Kuglin and Hines, 1975)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def phase_correlation(before: Floats, after: Floats) -> Floats:
    """Of each shift (row, column; those from the end are negative) that makes `after` of `before`; 1 where it alone
    does. Both have faded edges and no mean: a jump from one edge to the other is no content.
    """
    cross = np.fft.rfft2(after) * np.fft.rfft2(before).conj()
    length = np.abs(cross)
    surface: Floats = np.fft.irfft2(cross / np.maximum(length, 1e-9 * length.max() + 1e-300), s=after.shape)
    return surface
