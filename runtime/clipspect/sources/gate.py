"""A gate: a rectangle of the frame that parts pass, what is seen in it, and whether that is a part."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.base.errors import ClipspectError, ImageError
from clipspect.frame.decode import FrameLike, Picture, read, size_of
from clipspect.frame.views import Box

_CELLS = 96  # of the gate's longer side, at most: each is the mean of its pixels, so that noise is no change
_KEPT = 0.5  # of `Gate.share`, from which a part that is there is still there: no flicker at the edge of a part
_LEARNED = 0.05  # of what is seen of an empty gate, into what counts as empty: daylight may drift

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Gate:
    """Where parts pass, and what counts as one. The rectangle should be somewhat larger than a part: a frame is best
    where the part is in its middle. Two parts must not be in it at once."""

    left: int
    top: int
    width: int
    height: int
    empty: FrameLike | None = field(default=None, repr=False)  # a frame without a part
    # None: the first frame shows none, and what stays longer than `longest` frames is no part any more while it stays
    change: float = 40.0  # grey levels in one channel, from which a place differs from the empty gate
    share: float = 0.05  # of the gate, that must differ for a part to be there
    shortest: int = 2  # frames that show a part; what is shorter is a flicker
    pause: int = 2  # frames within a part's span that may show none
    longest: int = 1500  # frames, after which a part that stays is given; see `empty`

    def __post_init__(self) -> None:
        if min(self.left, self.top) < 0 or min(self.width, self.height) < 1:
            raise ClipspectError(
                f"gate {self.left},{self.top},{self.width},{self.height}: expected left and top from 0, "
                "width and height from 1, in pixels"
            )
        if not (0 < self.change <= 255 and 0 < self.share <= 1):
            raise ClipspectError(
                f"gate: change {self.change}, share {self.share}: expected above 0, up to 255 grey levels and up to 1"
            )
        if not (1 <= self.shortest <= self.longest and self.pause >= 0):
            raise ClipspectError(
                f"gate: shortest {self.shortest}, longest {self.longest}, pause {self.pause} frames: expected 1 or "
                "more, no less than that, and 0 or more"
            )

    @property
    def box(self) -> Box:
        return Box(self.left, self.top, self.left + self.width, self.top + self.height)


def parse_gate(text: str, empty: FrameLike | None = None) -> Gate:
    """The gate of `X,Y,WIDTH,HEIGHT` in pixels. Raises ClipspectError."""
    numbers = text.split(",")
    if len(numbers) != 4 or not all(number.strip().isdecimal() for number in numbers):
        raise ClipspectError(f"gate {text!r:.60}: expected X,Y,WIDTH,HEIGHT in pixels, such as 200,80,160,240")
    left, top, width, height = map(int, numbers)
    return Gate(left, top, width, height, empty)


@dataclass(frozen=True)
class Sight:
    """What a frame shows in the gate."""

    holds: bool  # a part
    merit: (
        float  # of the frame for its part: how sharp it is, how near the gate's middle the part lies, how still it is
    )


class GateWatch:
    """Compares the gate with what it looks like when it is empty."""

    def __init__(self, gate: Gate) -> None:
        """Raises ImageError where the picture of the empty gate cannot be read or does not hold it."""
        self.gate = gate
        self._size: tuple[int, int] | None = None
        self._empty: list[Floats] = []  # how it looks, and how it looks with what has stayed in it
        self._last: Floats | None = None
        self._place: npt.NDArray[np.bool_] | Literal[False] = False  # where the part was in it
        self._known = gate.empty is not None
        if gate.empty is not None:
            self._empty = [self._seen(read(gate.empty))[0]]

    def look(self, frame: FrameLike, *, inside: bool) -> Sight:
        """At the next frame; `inside` says that the one before showed a part. Raises ImageError."""
        cells, sharpness = self._seen(read(frame))
        if not self._empty:
            self._empty = [cells]
        from_each = [np.abs(cells - empty).max(axis=-1) > self.gate.change for empty in self._empty]
        differs = np.logical_and.reduce(from_each)
        holds = self._holds(differs, inside)
        if not holds and not inside:
            self._learn(cells, from_each)
        before, self._last = self._last, cells
        place, self._place = self._place | differs, differs
        if not holds:
            return Sight(holds, 0.0)
        moved = 0.0 if before is None else float(np.abs(cells - before)[place].mean())
        return Sight(holds, sharpness * (1 - _distance(differs)) / (1 + moved))

    def give_up(self) -> None:
        """What stays is no part: unless the empty gate is known, this is how it looks, too, until it has gone."""
        if not self._known and self._last is not None:
            self._empty = [self._empty[0], self._last]

    def _holds(self, differs: npt.NDArray[np.bool_], inside: bool) -> bool:
        return bool(differs.mean() >= self.gate.share * (_KEPT if inside else 1))

    def _learn(self, cells: Floats, from_each: list[npt.NDArray[np.bool_]]) -> None:
        """From an empty gate how it looks, or looks with what has stayed, which is forgotten when it has gone."""
        if not self._holds(from_each[0], inside=True):
            del self._empty[1:]
        differs = from_each[len(self._empty) - 1]
        self._empty[-1] = self._empty[-1] + _LEARNED * (cells - self._empty[-1]) * ~differs[..., None]

    def _seen(self, picture: Picture) -> tuple[Floats, float]:
        """The gate in cells (h, w, channels), and how sharp it is: the mean difference of neighbouring pixels."""
        size = size_of(picture)
        if self._size not in (None, size):
            raise ImageError(
                f"gate: a frame of {size[0]} x {size[1]} after one of {self._size[0]} x {self._size[1]}: give frames "
                "of one size"
            )
        self._size = size
        box = self.gate.box
        if box.right > size[0] or box.bottom > size[1]:
            raise ClipspectError(
                f"gate {box.left},{box.top},{box.width},{box.height} lies beyond a frame of {size[0]} x {size[1]}: "
                "give one inside"
            )
        image = _cut(picture, box)
        step = max(1, math.ceil(max(image.size) / _CELLS))
        cells = np.asarray(image.reduce(step), np.float32)
        return cells if cells.ndim == 3 else cells[..., None], sharpness(image)


def sharpness(image: Image.Image) -> float:
    """The mean difference of neighbouring pixels, in grey levels, across and down."""
    grey = np.asarray(image.convert("L"), np.int16)
    return sum(float(np.abs(np.diff(grey, axis=axis)).mean()) for axis in (0, 1) if grey.shape[axis] > 1)


def _cut(picture: Picture, box: Box) -> Image.Image:
    if isinstance(picture, Image.Image):
        return picture.crop((box.left, box.top, box.right, box.bottom))
    return Image.fromarray(np.ascontiguousarray(picture[box.top : box.bottom, box.left : box.right]))


def _distance(differs: npt.NDArray[np.bool_]) -> float:
    """Of the centre of what differs from the gate's, 0 to 1: in parts of half a side, the larger of both sides."""
    places = np.nonzero(differs)
    middles = [(2 * place.mean() + 1) / side - 1 for place, side in zip(places, differs.shape)]
    return float(np.abs(middles).max())
