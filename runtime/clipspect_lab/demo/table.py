"""The demo's table: what it reaches on its pictures and how long it takes, a row for each family."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipspect.frame.prepare import Frame
from clipspect.inspection.result import Result
from clipspect_lab.demo.figures import PictureFigures, figures_by_family, mean_of_families, picture_figures
from clipspect_lab.demo.pictures import DemoPicture


@dataclass(frozen=True, eq=False)
class InspectedPicture:
    """A picture with its truth and what was found."""

    picture: DemoPicture
    frame: Frame
    mask: npt.NDArray[np.bool_]  # (H, W) of the image; all False for a good one
    result: Result


@dataclass(frozen=True)
class TableRow:
    """A row of the table."""

    figures: PictureFigures
    milliseconds: float  # median of whole inspections, one image at a time


def demo_table(items: Sequence[InspectedPicture]) -> list[TableRow]:
    """A row for each family by its name, then their mean, then all pictures in one ranking."""
    items = sorted(items, key=lambda item: item.picture.family)
    scores, maps = [item.result.score for item in items], [item.result.anomaly_map for item in items]
    masks = [item.mask for item in items]
    families = figures_by_family(scores, maps, masks, [item.picture.family for item in items])
    everywhere = _milliseconds(items)
    return [
        *(TableRow(row, _milliseconds([i for i in items if i.picture.family == row.name])) for row in families),
        TableRow(mean_of_families(families), everywhere),
        TableRow(picture_figures(scores, maps, masks), everywhere),
    ]


def percent(value: float | None) -> str:
    """An AUROC as the field writes it: per cent with one digit."""
    return "-" if value is None else f"{100 * value:.1f}"


def _milliseconds(items: Sequence[InspectedPicture]) -> float:
    return statistics.median(item.result.timings.total for item in items)
