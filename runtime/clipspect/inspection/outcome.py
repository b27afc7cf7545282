"""Outcomes: what became of an item."""

from __future__ import annotations

from dataclasses import dataclass, field

from clipspect.base.errors import AnswerError, ImageError
from clipspect.frame.item import Item
from clipspect.frame.prepare import Frame
from clipspect.inspection.result import Result


@dataclass(frozen=True, eq=False)
class Outcome:
    """An item with its result, or with its error: always one of the two."""

    item: Item
    result: Result | None = None
    error: ImageError | AnswerError | None = None  # it could not be read, or the engine has no answer to it
    frame: Frame | None = field(default=None, repr=False)  # with its picture, where somebody asked to keep it

    def __post_init__(self) -> None:
        if (self.result is None) == (self.error is None):
            raise ValueError("an outcome has a result or an error")

    def require(self) -> Result:
        """The result. Raises the error where there is none."""
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result
