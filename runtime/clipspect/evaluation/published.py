"""The papers' figures, for setting beside ours: `published.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from clipspect.document import build

_FILE = Path(__file__).with_name("published.json")


@dataclass(frozen=True)
class Published:
    """Means over a data set's classes, in per cent; keys as in a row of results. AUPRO is by the papers' code."""

    dataset: str
    method: str
    shots: int
    source: str
    backbone: str
    side: int  # pixels of the model's image
    percent: dict[str, float]


@dataclass(frozen=True)
class _File:
    datasets: dict[str, tuple[str, ...]]  # their classes
    rows: tuple[Published, ...]


def published(method: str, classes: frozenset[str], shots: int) -> list[Published]:
    """What was published for a method with as many shots, if the classes are those of a known data set, all of them."""
    file = build(_File, json.loads(_FILE.read_bytes()), _FILE.name)
    names = [name for name, known in file.datasets.items() if frozenset(known) == classes]
    return [row for row in file.rows if (row.method, row.shots) == (method, shots) and row.dataset in names]
