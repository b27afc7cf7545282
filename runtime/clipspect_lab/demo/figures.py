"""What the demo reaches on its pictures: a row a family, their mean, and all pictures in one ranking."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.frame.prepare import Frame
from clipspect.inspection.result import Result
from clipspect_lab.demo.pictures import Sample
from clipspect_lab.evaluation.metrics import auroc


@dataclass(frozen=True, eq=False)
class Inspected:
    """A sample with its truth and what was found."""

    sample: Sample
    frame: Frame
    mask: npt.NDArray[np.bool_]  # (H, W) of the image; all False for a good one
    result: Result


@dataclass(frozen=True)
class Figures:
    """A row of the table. AUROCs are None where there is only one class."""

    name: str
    good: int
    defective: int
    image_auroc: float | None
    pixel_auroc: float | None
    milliseconds: float  # median of whole inspections, one image at a time


def measure(items: list[Inspected]) -> list[Figures]:
    """A row for each family, then their mean, then all images in one ranking."""
    families = sorted({item.sample.family for item in items})
    rows = [_figures(name, [item for item in items if item.sample.family == name]) for name in families]
    together = _figures("all in one ranking", items)
    mean = Figures(
        "mean of families",
        together.good,
        together.defective,
        _mean([row.image_auroc for row in rows]),
        _mean([row.pixel_auroc for row in rows]),
        together.milliseconds,
    )
    return [*rows, mean, together]


def _figures(name: str, items: list[Inspected]) -> Figures:
    defective = [item.sample.mask is not None for item in items]
    masks = np.concatenate([item.mask.ravel() for item in items])
    maps = np.concatenate([item.result.anomaly_map.ravel() for item in items])
    return Figures(
        name,
        good=defective.count(False),
        defective=defective.count(True),
        image_auroc=auroc(defective, [item.result.score for item in items]),
        pixel_auroc=auroc(masks, maps),
        milliseconds=statistics.median(item.result.timings.total for item in items),
    )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def percent(value: Any) -> str:
    """An AUROC as the field writes it: per cent with one digit."""
    return "-" if value is None else f"{100 * value:.1f}"
