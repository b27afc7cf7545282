"""Times as documents write them: UTC, ISO 8601, to the millisecond."""

from __future__ import annotations

from datetime import datetime, timezone


def written(moment: datetime) -> str:
    """A moment that knows its time zone, as text."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def now() -> str:
    """This moment, as text."""
    return written(datetime.now(timezone.utc))
