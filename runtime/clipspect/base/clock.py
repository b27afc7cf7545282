"""Times as documents write them: UTC, ISO 8601, to the millisecond."""

from __future__ import annotations

from datetime import datetime, timezone

LAST_NS = (1 << 63) - 1  # of a file's time, in the year 2262: a document's numbers have at most 64 bits


def written(moment: datetime) -> str:
    """A moment that knows its time zone, as text."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def from_file_time(mtime_ns: int) -> datetime | None:
    """The moment of a file's time; None outside of the years 1677 to 2262, where it is no time of a camera."""
    return datetime.fromtimestamp(mtime_ns / 1e9, timezone.utc) if abs(mtime_ns) < LAST_NS else None


def now() -> str:
    """This moment, as text."""
    return written(datetime.now(timezone.utc))
