"""Alignment: where a part lies that shifts, by phase correlation with the frame that its region was drawn on."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.base.errors import RecipeError
from clipspect.frame.phase_correlation import Floats, phase_correlation

Grey = npt.NDArray[np.uint8]  # (H, W)

_LONGEST = 128  # cells of the small picture's longer side
_LIKE = 0.5  # the correlation with the reference from which a part is believed to lie there
_CLEAR = 0.8  # of the correlation at the place: another place from there is as likely
_PEAKS = 8  # of the phase correlation that are looked at
_NEAR = 3  # cells around a peak that are the same peak
_FLAT = 0.25  # sum of squares: of cells that are not all of one level it is larger


@dataclass(frozen=True)
class Alignment:
    """How a part that shifts is found: the frame, small and grey, is compared with the one that it was drawn on."""

    size: tuple[int, int]  # width and height of the small picture, in cells
    picture: str = field(repr=False)  # its grey levels, a byte each, row by row, as base64
    reach: tuple[int, int]  # cells across and down: a part that lies farther off is not judged

    def __post_init__(self) -> None:
        width, height = self.size
        if not (0 < width <= _LONGEST and 0 < height <= _LONGEST and len(self._bytes) == width * height):
            raise RecipeError(f"region of interest: alignment has no picture of {width} x {height}: draw it again")
        if not 0 <= min(self.reach) <= max(self.reach) <= _LONGEST:
            raise RecipeError(f"region of interest: alignment cannot reach {self.reach}: draw it again")

    @cached_property
    def levels(self) -> Grey:
        """The grey levels of the frame that was drawn on."""
        return np.frombuffer(self._bytes, np.uint8).reshape(self.size[1], self.size[0])

    @cached_property
    def _bytes(self) -> bytes:
        try:
            return base64.b64decode(self.picture, validate=True)
        except ValueError as error:  # binascii.Error is one, and what is not ASCII raises the other
            raise RecipeError(
                f"region of interest: alignment's picture is no base64 ({error}): draw it again"
            ) from error


@dataclass(frozen=True)
class Place:
    """Where the part lies, in cells of the small picture, right and down of where it was drawn; or why nowhere."""

    shift: tuple[int, int] = (0, 0)
    likeness: float = 1.0  # correlation with the reference there, of the judged cells
    fault: str = ""


def cell_side(width: int, height: int) -> int:
    """How many pixels of a model's size a side of a cell has, so that there are at most 128 cells a side."""
    return -(-max(width, height) // _LONGEST)


def small_grey(pixels: npt.NDArray[np.uint8]) -> Grey:
    """A frame in the model's size (H, W, 3), grey, in cells: each the mean of its pixels, rounded down.

    What is left over at the right and below, less than a cell, belongs to none.
    """
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    step = cell_side(grey.shape[1], grey.shape[0])
    rows, columns = grey.shape[0] // step, grey.shape[1] // step
    cells = grey[: rows * step, : columns * step].reshape(rows, step, columns, step)
    sums = cells.sum(axis=(1, 3), dtype=np.int64)
    small: Grey = (sums // (step * step)).astype(np.uint8)
    return small


def cells_of(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """A mask (H, W) of the model's size in cells, each as the pixel in its middle."""
    step = cell_side(mask.shape[1], mask.shape[0])
    rows, columns = mask.shape[0] // step, mask.shape[1] // step
    return mask[step // 2 :: step, step // 2 :: step][:rows, :columns]


def alignment_to(pixels: npt.NDArray[np.uint8], reach: tuple[int, int]) -> Alignment:
    """To a frame in the model's size (H, W, 3)."""
    small = small_grey(pixels)
    return Alignment((small.shape[1], small.shape[0]), base64.b64encode(small.tobytes()).decode(), reach)


def locate(frame: Grey, reference: Grey, judged: npt.NDArray[np.bool_], reach: tuple[int, int]) -> Place:
    """The place of what `judged` cells of the reference show, in a frame of its size.

    The phase correlation's highest peaks are looked at, wherever they are, and of all places in the frame the most
    alike. The one of these where the frame is most like the reference is the place, or a neighbour that is more like
    it. It is a fault if that is not like the reference, if another place is nearly as much like it, or if it is beyond
    `reach`.
    """

    @cache
    def likeness(shift: tuple[int, int]) -> float:
        return _likeness(frame, reference, judged, shift)

    peaks = [*_peaks(correlation_surface(frame, reference, judged)), most_alike(frame, reference, judged)]
    values = [likeness(peak) for peak in peaks]
    shift = _climbed(peaks[int(np.argmax(values))], likeness)
    found = likeness(shift)
    if found < _LIKE:
        return Place(shift, found, "weak")
    rivals = (peak for peak, value in zip(peaks, values) if value > _CLEAR * found)
    if any(_climbed(peak, likeness) != shift for peak in rivals):
        return Place(shift, found, "ambiguous")
    if abs(shift[0]) > reach[0] or abs(shift[1]) > reach[1]:
        return Place(shift, found, "far")
    return Place(shift, found)


def _climbed(shift: tuple[int, int], likeness: Callable[[tuple[int, int]], float]) -> tuple[int, int]:
    """From a place to the neighbour that is most like the reference, until none is more so."""
    while True:
        around = [(shift[0] + x, shift[1] + y) for y in (-1, 0, 1) for x in (-1, 0, 1)]
        best = max(around, key=lambda place: (likeness(place), place == shift))
        if best == shift:
            return shift
        shift = best


def _peaks(surface: Floats) -> list[tuple[int, int]]:
    """The shifts, right and down, of the highest peaks, none near a higher one; the highest first."""
    rows, columns = surface.shape
    left = surface.copy()
    peaks = []
    for _ in range(_PEAKS):
        row, column = divmod(int(left.argmax()), columns)
        peaks.append((column - columns * (2 * column >= columns), row - rows * (2 * row >= rows)))
        down, across = (np.arange(place - _NEAR, place + _NEAR + 1) for place in (row, column))
        left[np.ix_(down % rows, across % columns)] = -np.inf
    return peaks


def correlation_surface(frame: Grey, reference: Grey, judged: npt.NDArray[np.bool_]) -> Floats:
    """How well each shift (row, column; negative ones from the end) fits: the phase correlation."""
    window = np.outer(_taper(frame.shape[0]), _taper(frame.shape[1]))
    return phase_correlation(_centred(reference, window * judged), _centred(frame, window))


def most_alike(frame: Grey, reference: Grey, judged: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """The shift, right and down, at which the frame has the highest correlation with the judged cells, which all lie in
    it. The phase correlation alone misses a small region: all of the frame that it does not show is noise to it.
    """
    rows, columns = np.nonzero(judged)
    if not rows.size:
        return 0, 0
    seen, known = frame.astype(np.float64) - 128, reference.astype(np.float64)
    known = np.where(judged, known - known[judged].mean(), 0)

    def summed(values: Floats, weights: Floats | npt.NDArray[np.bool_]) -> Floats:
        """At each shift the sum of the values times the weights that are shifted to them."""
        found: Floats = np.fft.irfft2(np.fft.rfft2(values) * np.fft.rfft2(weights).conj(), s=values.shape)
        return found

    spread = summed(np.square(seen), judged) - np.square(summed(seen, judged)) / rows.size
    likeness = np.where(spread > _FLAT, summed(seen, known) / np.sqrt(np.maximum(spread, _FLAT)), -np.inf)
    down = np.arange(-rows.min(), frame.shape[0] - rows.max())
    across = np.arange(-columns.min(), frame.shape[1] - columns.max())
    row, column = divmod(int(likeness[np.ix_(down, across)].argmax()), len(across))
    return int(across[column]), int(down[row])


def _taper(size: int) -> Floats:
    """1, and to both ends over an eighth of the side down to 0 as a cosine."""
    end = max(size // 8, 1)
    position = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
    taper: Floats = 0.5 - 0.5 * np.cos(np.pi * np.minimum(position / end, 1))
    return taper


def _centred(grey: Grey, weights: Floats) -> Floats:
    total = weights.sum()
    values = grey.astype(np.float64)
    centred: Floats = (values - (values * weights).sum() / max(total, 1e-300)) * weights
    return centred


def _likeness(frame: Grey, reference: Grey, judged: npt.NDArray[np.bool_], shift: tuple[int, int]) -> float:
    """The correlation of the judged cells with what lies `shift` from them; 0 where one of both is of one level, and
    where most of them would lie outside of the frame: two cells are alike anywhere.
    """
    rows, columns = np.nonzero(judged)
    moved_rows, moved_columns = rows + shift[1], columns + shift[0]
    inside = (moved_rows >= 0) & (moved_rows < frame.shape[0]) & (moved_columns >= 0) & (moved_columns < frame.shape[1])
    one = reference[rows[inside], columns[inside]].astype(np.float64)
    other = frame[moved_rows[inside], moved_columns[inside]].astype(np.float64)
    if 2 * one.size < rows.size or one.size < 2:
        return 0.0
    one, other = one - one.mean(), other - other.mean()
    # sums, for BLAS would take threads from the engine for as many products
    length = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return float((one * other).sum()) / length if length > 0 else 0.0
