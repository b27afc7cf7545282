"""The rows that the C++ example prints until it writes records."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from clipspect.base.errors import ImageError
from clipspect.inspection.result import Result


def result_row(result: Result) -> dict[str, Any]:
    width, height = result.size
    return {
        "source": result.source,
        "score": result.score,
        "verdict": result.verdict,
        "width": width,
        "height": height,
        "map_limit": result.map_limit,
        "peak": result.peak,
        "regions": [dataclasses.asdict(region) for region in result.regions],
        "timings_ms": dataclasses.asdict(result.timings),
        "overlay": None,
        "error": None,
    }


def error_row(path: Path, error: ImageError) -> dict[str, Any]:
    empty = dict.fromkeys(("score", "verdict", "width", "height", "map_limit", "peak"))
    return {"source": str(path), **empty, "regions": [], "timings_ms": None, "overlay": None, "error": str(error)}
