"""Records of a line that is drawn: any number of parts, without images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from clipspect.base import clock
from clipspect.inspection.record import FileRecord, ItemRecord, Record
from clipspect.inspection.result import decide
from clipspect.recipes.limits import Limits
from support.records import make_record

FIRST_PART = datetime(2026, 11, 2, 6, 0, tzinfo=timezone.utc)


def drawn_records(
    scores: Iterable[float], *, limits: Limits | None = None, start: int = 0, **changes: Any
) -> Iterator[Record]:
    """A record a score, captured a minute apart, judged by the limits."""
    for number, score in enumerate(map(float, scores), start):
        captured_at = clock.written(FIRST_PART + timedelta(minutes=number))
        file = FileRecord(f"{number}.png", 68, number)
        yield make_record(
            number,
            item=ItemRecord("camera", number, f"{number}.png", captured_at, 9, 6, file),
            score=score,
            verdict=decide(score, limits),
            limits=limits,
            **changes,
        )
