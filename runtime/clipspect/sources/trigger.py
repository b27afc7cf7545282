"""A trigger: something besides the pictures says when a part is there, such as a light barrier."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from clipspect.base.errors import ClipspectError
from clipspect.frame.item import Item


@dataclass(frozen=True)
class Trigger:
    """Asked for every frame whether a part begins with it. The part's span is that frame and those after it."""

    fired: Callable[[Item], bool]
    frames: int = 1  # of a span; it is shorter where the next part begins before

    def __post_init__(self) -> None:
        if isinstance(self.frames, bool) or self.frames < 1:
            raise ClipspectError(f"trigger: expected a number of frames from 1, found {self.frames!r}")


def fired_at(times: Iterable[float]) -> Callable[[Item], bool]:
    """Fires for the first frame at or after each of the times, ascending, in seconds on the source's clock."""
    ahead = iter(times)
    due = next(ahead, None)

    def fired(item: Item) -> bool:
        nonlocal due
        if item.seconds is None:
            raise ClipspectError(f"{item.name}: its source has no clock: give a trigger of another kind")
        found = False
        while due is not None and due <= item.seconds:
            found, due = True, next(ahead, None)
        return found

    return fired
