"""Records, and logs of them, without a bundle or an engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clipspect.inspection.record import BundleRecord, EngineRecord, FileRecord, ItemRecord, RecipeRecord, Record
from clipspect.inspection.result import Timings
from clipspect.recipes.limits import Limits
from clipspect.sinks.chain import Chain


def make_record(number: int = 0, **changes: Any) -> Record:
    """The record of the watched file NUMBER.png."""
    record = Record(
        schema=1,
        id=f"{number:032x}",
        time=f"2026-11-27T09:{number // 60 % 60:02}:{number % 60:02}.000+00:00",
        item=ItemRecord("camera", number, f"{number}.png", None, 9, 6, FileRecord(f"{number}.png", 68, number)),
        bundle=BundleRecord("nuts.bundle", "winclip", "b" * 64),
        recipe=RecipeRecord("nut", "a" * 64),
        engine=EngineRecord("onnxruntime", "cpu", "fp32"),
        version="0.1.0",
        score=number / 1000,
        verdict="pass",
        limits=Limits(0.4, 0.6),
        map_limit=0.5,
        peak=number / 1000,
        timings_ms=Timings(1.0, 2.0, 3.0, 4.0),
    )
    return dataclasses.replace(record, **changes)


def chained(records: Iterable[Record], chain: Chain | None = None) -> list[Record]:
    """The records with their links, of a new log."""
    chain = chain or Chain()
    return [chain.added(record) for record in records]


def write_lines(path: Path, records: Iterable[Record]) -> None:
    path.write_text("".join(record.to_json() + "\n" for record in records))
