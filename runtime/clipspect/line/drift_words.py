"""What was found of drift, in words: changes that happened together are one event, named by its likeliest cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clipspect.line.drift import QUANTITIES, Change, Span
from clipspect.line.drift_detector import PARTS
from clipspect.recipes.promise import percent


@dataclass(frozen=True)
class Event:
    """Changes of which each began before the others were found."""

    changes: tuple[Change, ...]  # the likeliest cause first

    @property
    def first(self) -> Change:
        return self.changes[0]

    @property
    def words(self) -> str:
        """As "since about part 412 (2026-11-02 14:10): brightness fell by 9 % (0.412 to 0.375); look at the light"."""
        cause = self.first
        return f"since about part {cause.part:,} ({minute(cause.time)}): {cause.words}; look at {cause.points_to}"

    @property
    def also(self) -> str:
        """The other changes; empty when there are none."""
        return "; ".join(change.words for change in self.changes[1:])


def events(changes: Sequence[Change]) -> list[Event]:
    """The oldest first."""
    groups: list[list[Change]] = []
    for change in sorted(changes, key=lambda change: change.found_part):
        if groups and change.part <= min(other.found_part for other in groups[-1]):
            groups[-1].append(change)
        else:
            groups.append([change])
    return [Event(tuple(sorted(group, key=lambda change: QUANTITIES.index(change.quantity)))) for group in groups]


def verdict(span: Span) -> list[str]:
    """A sentence for each event of a recipe's last span, the oldest first; one where there is none."""
    found = events(span.changes)
    if not found:
        return [f"no drift found in {span.parts:,} parts"]
    return [f"drift {event.words}" + (f"; with it, {event.also}" if event.also else "") for event in found]


def promise(false_alarm: float) -> str:
    return f"while nothing changes, at most {percent(false_alarm)} of runs of {PARTS:,} parts are said to drift"


def minute(time: str) -> str:
    """2026-11-02T14:10:33.120+00:00 as 2026-11-02 14:10."""
    return time[:16].replace("T", " ")
