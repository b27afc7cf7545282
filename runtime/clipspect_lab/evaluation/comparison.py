"""One class of a comparison: how far the two sides' figures, verdicts and maps differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from clipspect.inspection.maps import Map
from clipspect_lab.evaluation.metrics import f1_limit
from clipspect_lab.evaluation.report import COLUMNS, named_figures
from clipspect_lab.evaluation.resampling import Answers
from clipspect_lab.evaluation.rows import ClassRow

Document = dict[str, Any]


def class_document(rows: Sequence[ClassRow], answers: Sequence[Answers]) -> Document:
    """Figures of both sides, their differences, and the images that changed side; two rows, two answers."""
    one, other = (named_figures(row) for row in rows)
    return {
        "name": rows[0].name,
        "good": rows[0].good,
        "defective": rows[0].defective,
        "one": one,
        "other": other,
        "difference": {key: less(other[key], one[key]) for key in COLUMNS},
        **_changed(*answers),
    }


def less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _changed(one: Answers, other: Answers) -> Document:
    """The limit at which the one's F1 is largest, and the images that lie on its other side in the other."""
    limit = f1_limit(one.defective, one.scores)
    if limit is None:
        return {"limit": None, "changed": []}
    moved = np.flatnonzero((one.scores >= limit) != (other.scores >= limit))
    changed = [
        {
            "image": one.images[i],
            "defective": bool(one.defective[i]),
            "one": float(one.scores[i]),
            "other": float(other.scores[i]),
        }
        for i in moved
    ]
    return {"limit": limit, "changed": changed}


def most_different(pairs: Iterable[tuple[Map, Map]]) -> tuple[int, float, tuple[Map, Map]] | None:
    """Of maps as shares of their range: which pair differs most at any pixel, how much, and the two."""
    worst: tuple[int, float, tuple[Map, Map]] | None = None
    for index, (one, other) in enumerate(pairs):
        largest = float(np.abs(one - other).max())
        if worst is None or largest > worst[1]:
            worst = index, largest, (one, other)
    return worst
