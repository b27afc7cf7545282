"""What `clipspect run` writes: results.jsonl, results.csv and overlays/, one row an image."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from clipspect.base.errors import ClipspectError, ImageError
from clipspect.base.files import atomic_file
from clipspect.frame.prepare import Frame
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.result import Result
from clipspect.sinks.overlay import HeatScale, render

OVERLAYS = "overlays"
_COLUMNS = (
    "source", "score", "verdict", "regions", "largest_area", "peak", "width", "height",
    "decode_ms", "preprocess_ms", "infer_ms", "post_ms", "overlay", "error",
)  # fmt: skip

TABLE_HEADER = f"{'score':>8}  {'verdict':9}  {'regions':>7}  {'ms':>7}  source"

Row = dict[str, Any]


def result_row(result: Result) -> Row:
    """A result as a JSON object; the map itself stays out."""
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


def error_row(name: str, error: ImageError | None) -> Row:
    """The same keys for an image that could not be read."""
    empty = dict.fromkeys(("score", "verdict", "width", "height", "map_limit", "peak"))
    return {"source": name, **empty, "regions": [], "timings_ms": None, "overlay": None, "error": str(error)}


def row_of(outcome: Outcome) -> Row:
    """An outcome as a JSON object."""
    if outcome.result is not None:
        return result_row(outcome.result)
    return error_row(outcome.item.name, outcome.error)


class ResultFolder:
    """A context manager over the output folder.

    Rows are written as they come to `results.*.partial`, which take their names when the run ends well: a file named
    results.csv is complete.
    """

    def __init__(self, folder: Path, paths: Sequence[Path], scale: HeatScale) -> None:
        self._folder = folder
        self._scale = scale
        self._names = overlay_names(paths)
        self._files: dict[Path, TextIO] = {}
        try:
            (folder / OVERLAYS).mkdir(parents=True, exist_ok=True)
            self._jsonl = self._open(folder / "results.jsonl")
            self._csv = csv.writer(self._open(folder / "results.csv"))
        except OSError as error:
            raise ClipspectError(f"{folder}: cannot be written ({error.strerror}): choose another --out") from error
        self._csv.writerow(_COLUMNS)

    def _open(self, path: Path) -> TextIO:
        file = _partial(path).open("w", encoding="utf-8", errors="backslashreplace", newline="")
        self._files[path] = file
        return file

    def draw(self, path: Path, frame: Frame, result: Result) -> str:
        """Write the overlay; its path relative to the folder."""
        name = f"{OVERLAYS}/{self._names[path]}"
        with atomic_file(self._folder / name) as file:
            render(frame.image, result, self._scale).save(file, "JPEG", quality=90)
        return name

    def write(self, row: Row) -> None:
        self._jsonl.write(json_line(row) + "\n")
        regions, timings = row["regions"], row["timings_ms"] or {}
        flat = {
            **row,
            **{f"{stage}_ms": f"{value:.3f}" for stage, value in timings.items()},
            "regions": len(regions) if row["error"] is None else None,
            "largest_area": max((region["area"] for region in regions), default=None),
        }
        self._csv.writerow([flat.get(column) for column in _COLUMNS])

    def __enter__(self) -> ResultFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path, file in self._files.items():
            file.close()
            if kind is None:
                os.replace(_partial(path), path)


def overlay_names(paths: Sequence[Path]) -> dict[Path, str]:
    """A file name for each image: its own, with as many of its folders in front as it takes to be unique."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for path in paths:
        parts = [part for part in path.with_suffix("").parts if part not in (path.anchor, "..")]
        candidates = ["__".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]
        candidates += [f"{parts[-1]}-{count}" for count in range(2, len(paths) + 2)]
        name = next(candidate for candidate in candidates if candidate.casefold() not in taken)
        taken.add(name.casefold())
        names[path] = f"{name}.jpg"
    return names


def json_line(row: Row) -> str:
    return json.dumps(row)  # ASCII: whatever bytes a file name is made of, the line can be written and read


def table_line(row: Row) -> str:
    """A row without an error for a person, under `TABLE_HEADER`."""
    verdict, milliseconds = row["verdict"] or "-", sum(row["timings_ms"].values())
    return f"{row['score']:8.4f}  {verdict:9}  {len(row['regions']):7d}  {milliseconds:7.1f}  {row['source']}"


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")
