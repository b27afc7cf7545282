"""Items: the frames of a source, each with its identity, which it keeps on all its way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from time import monotonic

from clipspect.frame.decode import FrameLike, source_name

CALLER = "caller"  # the source of frames that are given without one


@dataclass(frozen=True)
class Moment:
    """When a frame was, as its item says."""

    number: int
    captured_at: datetime | None
    seconds: float | None


@dataclass(frozen=True)
class Span:
    """The frames of a source that showed one part."""

    part: int  # of the source's parts, from 0
    frames: int  # that showed it
    first: Moment
    last: Moment


@dataclass(frozen=True, eq=False)
class Item:
    """One frame of a source. What a source knows of it besides, it finds by the number."""

    source: str  # what names the source: a folder, an address, "caller"
    number: int  # of the frame in its source, from 0
    captured_at: datetime | None  # with its time zone; None where the source does not know
    frame: FrameLike = field(repr=False)
    dropped: int = 0  # frames that the source let go since the item before
    seconds: float | None = None  # on the source's own clock, since its first frame; None where it has none
    captured_monotonic: float | None = None  # `time.monotonic()` at the capture; None where nobody here saw it
    span: Span | None = None  # of the part that the frame was chosen for; None where each frame counts for itself

    @property
    def moment(self) -> Moment:
        return Moment(self.number, self.captured_at, self.seconds)

    @property
    def name(self) -> str:
        """The frame's path where it has one, else its source and number."""
        return source_name(self.frame) or f"{self.source}#{self.number}"


def items_of(frames: Iterable[Item | FrameLike], source: str = CALLER) -> Iterator[Item]:
    """Items as they are; plain frames, numbered, as items of the source that were captured when they were taken."""
    for number, frame in enumerate(frames):
        if isinstance(frame, Item):
            yield frame
        else:
            yield Item(source, number, datetime.now(timezone.utc), frame, captured_monotonic=monotonic())
