"""Files of a watched folder that are not inspected yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from clipspect.sources.part import Part


@dataclass(frozen=True, eq=False)
class Candidate:
    """A file that is not inspected yet, and has not changed since."""

    part: Part
    since: float  # monotonic seconds
    due: float  # when it is tried next
    last_try: bool = False  # what cannot be read now is reported as an error
    number: int = -1  # of the item that it was handed out as
    unread: str = ""  # why the system did not give its bytes, when they were last asked for
    seen_to_come: bool = True  # it was not there when the watching began: `since` is when it was captured
    ready: bool = False  # it is due, and was still unchanged then


def oldest_first(candidates: Iterable[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda candidate: (candidate.part.mtime_ns, candidate.part.name))


def unread_words(candidates: Iterable[Candidate]) -> str | None:
    """What to tell of files that the system does not give, as long as there are any."""
    told = sorted(candidate.unread for candidate in candidates if candidate.unread)
    if not told:
        return None
    return f"{told[0]}{f'; and {len(told) - 1} more' if len(told) > 1 else ''}: waiting for it"
