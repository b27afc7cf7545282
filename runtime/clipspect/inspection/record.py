"""Records: what every sink, page and auditor reads of one outcome. docs/record.schema.json is their JSON Schema."""

from __future__ import annotations

import dataclasses
import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Literal

import msgspec

from clipspect.base import clock
from clipspect.base.version import __version__
from clipspect.frame.item import Span
from clipspect.inspection.explanation import Explanation
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.regions import Region
from clipspect.inspection.result import Timings, Verdict
from clipspect.recipes.checks import quantities
from clipspect.recipes.limits import Limits

if TYPE_CHECKING:
    from clipspect.inspection.inspector import Inspector


@dataclass(frozen=True)
class FileRecord:
    """The file that a frame was read from, as it was then: what tells it from a later one of the same name."""

    name: str  # relative to the source's folder
    size: int  # bytes
    mtime_ns: int  # time of the last change
    ctime_ns: int | None = None  # the same, or of what is said of the file, which nobody can set; None: not known


@dataclass(frozen=True)
class MomentRecord:
    """When a frame was."""

    number: int  # of the frame in its source, from 0
    captured_at: str | None  # ISO 8601; None where the source does not know
    seconds: float | None  # on the source's own clock; None where it has none


@dataclass(frozen=True)
class SpanRecord:
    """The frames that showed the part of which the inspected one is the best."""

    part: int  # of the source's parts, from 0
    frames: int  # that showed it
    first: MomentRecord
    last: MomentRecord


@dataclass(frozen=True)
class ItemRecord:
    """What was inspected."""

    source: str
    number: int  # of the frame in its source, from 0
    name: str  # the path of a file, else source and number
    captured_at: str | None  # ISO 8601; None where the source does not know
    width: int | None = None  # of the frame in pixels; None where it could not be read
    height: int | None = None
    file: FileRecord | None = None
    dropped: int = 0  # frames that the source let go since the item before
    seconds: float | None = None  # on the source's own clock, such as a place in a video; None where it has none
    span: SpanRecord | None = None  # where one record is of a part that many frames show


@dataclass(frozen=True)
class BundleRecord:
    """The bundle that scored: its folder's name, its method, and the SHA-256 of its bundle.json."""

    name: str
    method: str
    digest: str


@dataclass(frozen=True)
class RecipeRecord:
    """The recipe that scored and judged, and its digest."""

    name: str
    digest: str


@dataclass(frozen=True)
class EngineRecord:
    """What computed the score."""

    backend: str
    device: str
    precision: str


@dataclass(frozen=True)
class Link:
    """A record's place in the chain of its log (docs/audit.md). The digest is the last thing in the record's line."""

    log: str  # which log: 32 hexadecimal digits, made when it was begun
    line: int  # of the chain, from 1; over all files of a log that was rotated
    previous: str | None  # digest of the line before; None of the first
    digest: str  # SHA-256 over the bytes of the line before `, "digest": "`


@dataclass(frozen=True)
class Record:
    """One outcome and what decided it. Either `error` is set, or `score` and what follows from it are."""

    schema: Literal[1]
    id: str  # of this record; of a watched file the same whenever it is inspected as it is
    time: str  # when it was judged, ISO 8601, UTC
    item: ItemRecord
    bundle: BundleRecord
    recipe: RecipeRecord
    engine: EngineRecord
    version: str  # of clipspect
    score: float | None = None
    verdict: Verdict | None = None  # None without limits
    reasons: tuple[str, ...] = ()  # why the verdict is invalid
    notes: tuple[str, ...] = ()  # what else is to be said of the frame, such as its size
    quality: dict[str, float] = field(default_factory=dict)  # of the frame: brightness, ..., what its checks are of
    limits: Limits | None = None
    map_limit: float | None = None  # the anomaly map's value over which a pixel belongs to a region
    peak: float | None = None  # the anomaly map's largest value
    regions: tuple[Region, ...] = ()
    explanation: Explanation | None = None  # of the regions, where it was asked for
    timings_ms: Timings | None = None
    latency_ms: float | None = None  # from the capture to the verdict; None where this machine did not see the capture
    files: dict[str, str] = field(default_factory=dict)  # that sinks wrote of it, by kind, relative to their folder
    error: str | None = None  # why the frame could not be inspected
    chain: Link | None = None  # the last member of the line; None where the record is of no log

    def to_json(self) -> str:
        """One line. ASCII: whatever bytes a file's name is made of, it can be written and read."""
        return json.dumps(msgspec.to_builtins(self))


def record_of(
    outcome: Outcome, inspector: Inspector, *, id: str | None = None, file: FileRecord | None = None
) -> Record:
    """The record of what the inspector made of an item; without an id it gets one of its own."""
    item, result = outcome.item, outcome.result
    recipe = inspector.recipe if result is None else result.recipe
    width, height = (None, None) if result is None else result.size
    bundle = inspector.bundle
    record = Record(
        schema=1,
        id=id or uuid.uuid4().hex,
        time=clock.now(),
        item=ItemRecord(
            item.source,
            item.number,
            item.name,
            _written(item.captured_at),
            width,
            height,
            file,
            item.dropped,
            item.seconds,
            None if item.span is None else _span(item.span),
        ),
        bundle=BundleRecord(bundle.path.resolve().name, bundle.manifest.method, bundle.digest),
        recipe=RecipeRecord(recipe.name, recipe.digest),
        engine=EngineRecord(inspector.backend, inspector.device, inspector.precision),
        version=__version__,
        latency_ms=None if item.captured_monotonic is None else (monotonic() - item.captured_monotonic) * 1e3,
        error=None if outcome.error is None else str(outcome.error),
    )
    if result is None:
        return record
    return dataclasses.replace(
        record,
        score=result.score,
        verdict=result.verdict,
        reasons=result.reasons,
        notes=result.notes,
        quality=quantities(result.quality, result.embedding, recipe.calibration),
        limits=result.limits,
        map_limit=result.map_limit,
        peak=result.peak,
        regions=result.regions,
        explanation=result.explanation,
        timings_ms=result.timings,
    )


def _span(span: Span) -> SpanRecord:
    first, last = (
        MomentRecord(moment.number, _written(moment.captured_at), moment.seconds) for moment in (span.first, span.last)
    )
    return SpanRecord(span.part, span.frames, first, last)


def _written(time: datetime | None) -> str | None:
    return None if time is None else clock.written(time)
