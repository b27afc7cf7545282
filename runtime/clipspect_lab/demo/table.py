"""The demo's table: what it reaches on its pictures and how long it takes, a row for each family."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from clipspect_lab.demo.figures import PictureFigures, figures_by_family, mean_of_families, picture_figures
from clipspect_lab.demo.inspected import InspectedPicture


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


def photographs_row(items: Sequence[InspectedPicture]) -> TableRow:
    """The one row of photographs of one kind of part."""
    scores, maps = [item.result.score for item in items], [item.result.anomaly_map for item in items]
    return TableRow(
        picture_figures(scores, maps, [item.mask for item in items], items[0].picture.family), _milliseconds(items)
    )


def table_text(rows: Sequence[TableRow], apart: int = 2) -> str:
    """As a terminal shows it; so many of the last rows are apart."""
    lines = [f"{'family':22}{'good':>6}{'defective':>11}{'image AUROC':>13}{'pixel AUROC':>13}{'ms':>8}"]
    for row in rows:
        found = row.figures
        lines.append(
            f"{found.name:22}{found.good:6d}{found.defective:11d}"
            f"{percent(found.image_auroc):>13}{percent(found.pixel_auroc):>13}{row.milliseconds:8.1f}"
        )
    lines.insert(len(lines) - apart, "-" * len(lines[0]))
    return "\n".join(lines)


def percent(value: float | None) -> str:
    """An AUROC as the field writes it: per cent with one digit."""
    return "-" if value is None else f"{100 * value:.1f}"


def _milliseconds(items: Sequence[InspectedPicture]) -> float:
    return statistics.median(item.result.timings.total for item in items)
