"""Records as rows of Parquet: flat columns for who counts and filters, and beside them the whole record as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from clipspect.inspection.record import Record

_MOMENT = pa.timestamp("ms", "UTC")
SCHEMA = pa.schema(
    [
        ("name", pa.string()),  # the path of a file, its address, or FILE.parquet#ROW
        ("number", pa.int64()),  # of the image in the source, as it was listed by the run that inspected it
        ("score", pa.float64()),
        ("verdict", pa.string()),
        ("error", pa.string()),  # why the image could not be inspected
        ("peak", pa.float64()),
        ("regions", pa.int32()),  # how many; the JSON says where
        ("reasons", pa.list_(pa.string())),
        ("notes", pa.list_(pa.string())),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("captured_at", _MOMENT),
        ("time", _MOMENT),
        ("review", pa.float64()),
        ("reject", pa.float64()),
        ("map_limit", pa.float64()),
        ("total_ms", pa.float64()),
        ("infer_ms", pa.float64()),
        ("bundle", pa.string()),
        ("bundle_digest", pa.string()),
        ("recipe", pa.string()),
        ("recipe_digest", pa.string()),
        ("backend", pa.string()),
        ("device", pa.string()),
        ("precision", pa.string()),
        ("version", pa.string()),
        ("id", pa.string()),
        ("record", pa.string()),  # the document of docs/record.schema.json
    ]
)


def table_of(records: Sequence[Record]) -> pa.Table:
    """A row for each record."""
    return pa.Table.from_pylist([_row(record) for record in records], SCHEMA)


def written_name(name: str) -> str:
    """A name as Parquet can hold it: bytes that are no UTF-8 are escaped."""
    return name.encode(errors="backslashreplace").decode()


def _row(record: Record) -> dict[str, Any]:
    item, limits, timings = record.item, record.limits, record.timings_ms
    failed = record.error is not None
    return {
        "name": written_name(item.name),
        "number": item.number,
        "score": record.score,
        "verdict": record.verdict,
        "error": None if record.error is None else written_name(record.error),
        "peak": record.peak,
        "regions": None if failed else len(record.regions),
        "reasons": record.reasons,
        "notes": record.notes,
        "width": item.width,
        "height": item.height,
        "captured_at": None if item.captured_at is None else datetime.fromisoformat(item.captured_at),
        "time": datetime.fromisoformat(record.time),
        "review": None if limits is None else limits.review,
        "reject": None if limits is None else limits.reject,
        "map_limit": record.map_limit,
        "total_ms": None if timings is None else timings.total,
        "infer_ms": None if timings is None else timings.infer,
        "bundle": record.bundle.name,
        "bundle_digest": record.bundle.digest,
        "recipe": record.recipe.name,
        "recipe_digest": record.recipe.digest,
        "backend": record.engine.backend,
        "device": record.engine.device,
        "precision": record.engine.precision,
        "version": record.version,
        "id": record.id,
        "record": record.to_json(),
    }
