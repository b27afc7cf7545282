"""Outcomes: what became of an item."""

from __future__ import annotations

from dataclasses import dataclass, field

from clipspect.base.errors import ImageError
from clipspect.frame.item import Item
from clipspect.frame.prepare import Frame
from clipspect.inspection.result import Result


@dataclass(frozen=True, eq=False)
class Outcome:
    """An item with its result, or with the error of a frame that could not be read: always one of the two."""

    item: Item
    result: Result | None = None
    error: ImageError | None = None
    frame: Frame | None = field(default=None, repr=False)  # with its picture, where somebody asked to keep it

    def __post_init__(self) -> None:
        if (self.result is None) == (self.error is None):
            raise ValueError("an outcome has a result or an error")

    def require(self) -> Result:
        """The result. Raises the error of a frame that could not be read."""
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result
