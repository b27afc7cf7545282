"""How well scores and maps of drawn pictures tell good from defective: the one measure of everything about the demo.

The demo's table, `clipspect bench`, the exporter's check of a precision and the training of the demo model use it.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect_lab.evaluation.metrics import auroc
from clipspect_lab.evaluation.pixels import pixel_figures

ALL = "all in one ranking"
MEAN = "mean of families"


@dataclass(frozen=True)
class PictureFigures:
    """Of some pictures, 0 to 1; None where all of them are good, or all defective."""

    name: str  # of the family, or whatever the pictures have in common
    good: int
    defective: int
    image_auroc: float | None
    pixel_auroc: float | None
    aupro_exact: float | None
    aupro_papers: float | None

    @property
    def values(self) -> dict[str, float | None]:
        """The figures alone, by their names."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key in _VALUES}


_VALUES = ("image_auroc", "pixel_auroc", "aupro_exact", "aupro_papers")


def picture_figures(
    scores: Sequence[float] | npt.NDArray[Any],
    maps: Sequence[npt.NDArray[np.float32]] | npt.NDArray[np.float32],
    masks: Sequence[npt.NDArray[np.bool_]] | npt.NDArray[np.bool_],
    name: str = ALL,
) -> PictureFigures:
    """The figures of N pictures in one ranking.

    `scores` (N,) finite; `maps`, N of float32 (H, W), finite; `masks`, N of bool (H, W) as their map, True where
    defective. A picture whose mask is empty is a good one; its pixels count, too. Raises ValueError for arrays that
    do not fit together.
    """
    if not len(scores) == len(maps) == len(masks):
        raise ValueError(f"expected as many scores, maps and masks, found {len(scores)}, {len(maps)}, {len(masks)}")
    defective = [bool(mask.any()) for mask in masks]
    pixel = pixel_figures(lambda: zip(maps, masks)).figures
    return PictureFigures(
        name,
        good=defective.count(False),
        defective=defective.count(True),
        image_auroc=auroc(defective, scores),
        pixel_auroc=pixel.auroc,
        aupro_exact=pixel.aupro_exact,
        aupro_papers=pixel.aupro_papers,
    )


def figures_by_family(
    scores: Sequence[float] | npt.NDArray[Any],
    maps: Sequence[npt.NDArray[np.float32]] | npt.NDArray[np.float32],
    masks: Sequence[npt.NDArray[np.bool_]] | npt.NDArray[np.bool_],
    families: Sequence[str],
) -> list[PictureFigures]:
    """`picture_figures` of each family, in the order of its first picture; `families` (N,) names each picture's."""
    if len(families) != len(scores):
        raise ValueError(f"expected as many families as scores, found {len(families)} and {len(scores)}")
    members: dict[str, list[int]] = {}
    for index, family in enumerate(families):
        members.setdefault(family, []).append(index)
    return [
        picture_figures([scores[i] for i in chosen], [maps[i] for i in chosen], [masks[i] for i in chosen], family)
        for family, chosen in members.items()
    ]


def mean_of_families(rows: Sequence[PictureFigures]) -> PictureFigures:
    """As the field does it: every family counts once, whatever its number of pictures."""
    means: dict[str, float | None] = {}
    for key in _VALUES:
        known = [value for row in rows if (value := getattr(row, key)) is not None]
        means[key] = statistics.fmean(known) if known else None
    return PictureFigures(MEAN, sum(row.good for row in rows), sum(row.defective for row in rows), **means)
