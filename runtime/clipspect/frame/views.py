"""Views: which rectangles of a frame become model inputs, and where their answers belong."""

from __future__ import annotations

from dataclasses import dataclass

SAME_ASPECT = 0.02  # relative difference of width / height that is still the same aspect: nobody sees such a squash


@dataclass(frozen=True)
class Box:
    """A rectangle of source pixels: left and top inside, right and bottom outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height

    @property
    def slices(self) -> tuple[slice, slice]:
        """Of an array (height, width, ...): what lies in the rectangle."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def seen_from(self, other: Box) -> Box:
        """The same rectangle, counted from the other's first pixel."""
        x, y = other.left, other.top
        return Box(self.left - x, self.top - y, self.right - x, self.bottom - y)

    def scaled(self, across: float, down: float) -> Box:
        """The same rectangle of a frame so many times as wide and as high, of a pixel at least."""
        left, top = (
            min(round(self.left * across), round(self.right * across - 1)),
            min(round(self.top * down), round(self.bottom * down - 1)),
        )
        return Box(left, top, max(round(self.right * across), left + 1), max(round(self.bottom * down), top + 1))


@dataclass(frozen=True)
class View:
    """A rectangle of a frame that becomes one model input, and the part of it that its answer speaks of.

    What a view sees beyond its placement is context: its answer is not used there.
    """

    crop: Box
    placement: Box


def whole_frame(width: int, height: int) -> tuple[View, ...]:
    """The one view that is the frame itself."""
    box = Box(0, 0, width, height)
    return (View(box, box),)


def same_aspect(size: tuple[int, int], known: tuple[int, int]) -> bool:
    """Whether width / height differ by at most SAME_ASPECT."""
    one, other = size[0] * known[1], size[1] * known[0]
    return abs(one - other) <= SAME_ASPECT * other
