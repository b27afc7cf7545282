"""Parts of a continuous video: of each the one frame that judges it, once it has passed a gate or a trigger."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from clipspect.base.errors import ClipspectError, ImageError
from clipspect.frame.decode import FrameLike, as_image, read
from clipspect.frame.item import Item, Moment, Span, items_of
from clipspect.sources.gate import Gate, GateWatch, sharpness
from clipspect.sources.trigger import Trigger


def parts(
    items: Iterable[Item | FrameLike], gate: Gate | None = None, trigger: Trigger | None = None
) -> Iterator[Item]:
    """An item for each part, in their order: the frame that shows it best, with the part's span.

    By a gate a part is there from the first frame in which the gate differs from how it looks when it is empty to the
    last one. Of its frames the one with the largest product of two numbers judges: how sharp the gate is there, and how
    near the gate's middle the part lies (1 in it, 0 at the edge). By a trigger a part is a number of frames, of which
    the sharpest judges. A part's item comes when its span is over; at the end of the source also that which is there.
    A frame that could not be read comes by itself, with its error and no span. Frames must be of one size.
    Raises ClipspectError for a gate beyond the frame, and where not exactly one of gate and trigger is given.
    """
    rule = gate or trigger
    if rule is None or (gate is not None and trigger is not None):
        raise ClipspectError("parts: expected a gate or a trigger, one of both")
    return _parts(items_of(items), rule)


@dataclass
class _Passing:
    """A part whose span is not over."""

    first: Moment
    last: Moment
    best: Item
    merit: float = -1.0
    frames: int = 0
    given: bool = False

    @classmethod
    def from_frame(cls, item: Item) -> _Passing:
        return cls(item.moment, item.moment, item)

    def add(self, item: Item, merit: float) -> None:
        self.last, self.frames = item.moment, self.frames + 1
        if merit > self.merit:
            self.best, self.merit = item, merit


def _parts(items: Iterator[Item], rule: Gate | Trigger) -> Iterator[Item]:
    for _, own in groupby(items, key=lambda item: item.source):
        dropped = _Dropped(own)
        found = _by_gate(dropped, rule) if isinstance(rule, Gate) else _by_trigger(dropped, rule)
        number = 0
        for passed in found:
            if isinstance(passed, Item):
                yield dataclasses.replace(passed, dropped=dropped.taken())
                continue
            span = Span(number, passed.frames, passed.first, passed.last)
            yield dataclasses.replace(passed.best, dropped=dropped.taken(), span=span)
            number += 1


class _Dropped:
    """Items as they are, and how many frames the source let go since somebody asked."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._items, self._count = items, 0

    def __iter__(self) -> Iterator[Item]:
        for item in self._items:
            self._count += item.dropped
            yield item

    def taken(self) -> int:
        count, self._count = self._count, 0
        return count


def _by_gate(items: Iterable[Item], gate: Gate) -> Iterator[_Passing | Item]:
    watch, without = GateWatch(gate), 0
    passing: _Passing | None = None
    for item in items:
        try:
            sight = watch.look(item.frame, inside=passing is not None)
        except ImageError as error:
            yield dataclasses.replace(item, frame=error)
            continue
        if sight.holds:
            passing, without = passing or _Passing.from_frame(item), 0
            passing.add(item, sight.merit)
            if passing.frames >= gate.longest:
                watch.give_up()
                yield from _given(passing, gate.shortest)
        elif passing is not None:
            without += 1
            if without > gate.pause:
                yield from _given(passing, gate.shortest)
                passing = None
    if passing is not None:
        yield from _given(passing, gate.shortest)


def _by_trigger(items: Iterable[Item], trigger: Trigger) -> Iterator[_Passing | Item]:
    passing: _Passing | None = None
    for item in items:
        if trigger.fired(item):
            if passing is not None:
                yield from _given(passing)
            passing = _Passing.from_frame(item)
        if isinstance(item.frame, ImageError):
            yield item
        elif passing is not None and not passing.given:
            try:
                passing.add(item, 0.0 if trigger.frames == 1 else sharpness(as_image(read(item.frame))))
            except ImageError as error:
                yield dataclasses.replace(item, frame=error)
                continue
            if passing.frames == trigger.frames:
                yield from _given(passing)
    if passing is not None:
        yield from _given(passing)


def _given(passing: _Passing, shortest: int = 1) -> Iterator[_Passing]:
    """The part, once, if it was there long enough."""
    if not passing.given and passing.frames >= shortest:
        passing.given = True
        yield passing
