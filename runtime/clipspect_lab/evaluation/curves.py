"""Figures under the ROC, precision-recall and per-region-overlap curves, summed level by level from the highest score.

A level is a distinct score and what lies at it. Levels may also be bins of scores: the sums then take a bin's scores as
ties, and the largest errors that this can make are summed beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

FPR_LIMIT = 0.3  # to which AUPRO integrates, as Bergmann et al. (MVTec AD) do
PAPERS_STEPS = 200  # thresholds of the papers' AUPRO

Array = npt.NDArray[Any]


class Levels(NamedTuple):
    """Distinct scores from the highest down, or bins of scores by their upper edges; all arrays (L,)."""

    score: Array
    defects: Array  # int64: defective images or pixels at each
    goods: Array  # int64
    overlap: Array  # float64: the sum of 1 / its region's area over the defective pixels; 0 for images


class Totals(NamedTuple):
    """What all levels together hold."""

    defects: int
    goods: int
    regions: int = 0


@dataclass(frozen=True)
class Figures:
    """0 to 1, higher is better; None where the images have no such figure."""

    auroc: float | None
    average_precision: float | None
    f1_max: float | None
    aupro_exact: float | None = None
    aupro_papers: float | None = None


class Curves:
    """Running sums over levels that come from the highest score down, in as many parts as the memory wants."""

    def __init__(self, totals: Totals, thresholds: npt.NDArray[np.float32] | None = None) -> None:
        """`thresholds`, ascending, are those of the papers' AUPRO (`papers_thresholds`). They must be edges of bins."""
        self._totals = totals
        self._defects = self._goods = 0  # over the levels so far
        self._overlap = 0.0
        self._roc = self._precision = self._f1 = self._pro = 0.0
        self._roc_error = self._precision_error = self._f1_most = self._pro_error = 0.0
        self._thresholds = np.zeros(0, np.float32) if thresholds is None else thresholds
        self._above = np.zeros((2, self._thresholds.size))  # goods and overlap above each threshold

    def add(self, levels: Levels) -> None:
        """The next levels. Their scores lie below all that came before."""
        if not levels.score.size or 0 in self._totals[:2]:
            return
        tp, fp = self._defects + np.cumsum(levels.defects), self._goods + np.cumsum(levels.goods)
        self._add_roc(levels, tp)
        self._add_precision(levels, tp, fp)
        if self._totals.regions:
            overlap = self._overlap + np.cumsum(levels.overlap)
            self._add_overlap(levels, fp, overlap)
            self._overlap = float(overlap[-1])
        self._defects, self._goods = int(tp[-1]), int(fp[-1])

    def figures(self) -> Figures:
        """All None when there is only one class; the AUPROs also without regions."""
        if 0 in self._totals[:2]:
            return Figures(None, None, None)
        pixels = self._totals.regions > 0
        return Figures(self._roc, self._precision, self._f1, self._pro if pixels else None, self._papers())

    def largest_errors(self) -> Figures:
        """How far `figures` can be from those of the scores in the bins: 0 but for rounding where levels are scores.

        None where there is no area. The papers' AUPRO is exact, since its thresholds are edges.
        """
        figures = self.figures()
        bounds = (self._roc_error, self._precision_error, self._f1_most - self._f1, self._pro_error, 0.0)
        values = (figures.auroc, figures.average_precision, figures.f1_max, figures.aupro_exact, figures.aupro_papers)
        return Figures(*(None if value is None else max(bound, 0.0) for value, bound in zip(values, bounds)))

    def _add_roc(self, levels: Levels, tp: Array) -> None:
        pairs = float(self._totals.defects) * float(self._totals.goods)
        halves = levels.goods * 0.5 * levels.defects  # good and defective at one level: ties, counted half
        self._roc += float(np.sum(levels.goods * (tp - levels.defects).astype(float) + halves)) / pairs
        self._roc_error += float(np.sum(halves)) / pairs

    def _add_precision(self, levels: Levels, tp: Array, fp: Array) -> None:
        """Average precision and the largest F1, and how they could be if the scores inside a level differed."""
        positives = self._totals.defects
        recall_step = levels.defects / positives
        precision = tp / np.maximum(tp + fp, 1)
        self._precision += float(np.sum(recall_step * precision))
        self._f1 = max(self._f1, float(np.max(2 * tp / (tp + fp + positives))))
        # At best all defects of a level come first. At worst all goods do, and then the i-th defect has the precision
        # (tp0 + i) / (tp0 + i + fp); that the sum of 1 / (a + i) is at most log((a + n) / a) gives `least`.
        goods_before, defects_before = fp - levels.goods, tp - levels.defects
        most = recall_step * tp / np.maximum(tp + goods_before, 1)
        start = np.maximum(defects_before + fp, 1)
        least = recall_step - fp * np.log1p(levels.defects / start) / positives
        used = recall_step * precision
        several = (levels.defects > 0) & (levels.goods + levels.defects > 1)  # a level of one score has no order
        error = np.maximum(most - used, used - least)
        self._precision_error += float(np.sum(error, where=several))
        self._f1_most = max(self._f1_most, float(np.max(2 * tp / (tp + goods_before + positives))))

    def _add_overlap(self, levels: Levels, fp: Array, overlap: Array) -> None:
        """Trapezoids of (false positive rate, mean overlap of the regions) up to the limit, and counts above it all."""
        fpr1, pro1 = fp / self._totals.goods, overlap / self._totals.regions
        fpr_step, pro_step = levels.goods / self._totals.goods, levels.overlap / self._totals.regions
        width = np.clip(FPR_LIMIT - (fpr1 - fpr_step), 0, fpr_step)  # the last one is cut at the limit
        share = np.divide(width, fpr_step, out=np.zeros_like(width), where=fpr_step > 0)
        above_floor = pro_step * share / 2  # of the trapezoid's middle over its left end
        self._pro += float(np.sum(width * (pro1 - pro_step + above_floor))) / FPR_LIMIT
        self._pro_error += float(np.sum(width * (pro_step - above_floor))) / FPR_LIMIT
        reached = np.searchsorted(-levels.score.astype(np.float64), -self._thresholds.astype(np.float64), side="left")
        some = reached > 0
        self._above[0, some] = fp[reached[some] - 1]
        self._above[1, some] = overlap[reached[some] - 1]

    def _papers(self) -> float | None:
        """None where the papers' code divides by zero: no two thresholds with different rates below the limit."""
        if not self._totals.regions:
            return None
        fpr, pro = self._above[0] / self._totals.goods, self._above[1] / self._totals.regions
        fpr, pro = fpr[fpr < FPR_LIMIT], pro[fpr < FPR_LIMIT]
        if fpr.size == 0 or fpr[0] == fpr[-1]:
            return None
        area = np.sum((fpr[:-1] - fpr[1:]) * (pro[:-1] + pro[1:]) / 2)  # rates fall along the thresholds
        return float(area / (fpr[0] - fpr[-1]))


def papers_thresholds(lowest: float, highest: float) -> npt.NDArray[np.float32]:
    """The thresholds of the papers' AUPRO: 200 from the lowest value of all maps to below the highest, in float32.

    As AnomalyCLIP and APRIL-GAN make them, so that rounding may add the same 201st. None for a constant map.
    """
    start, stop = np.float32(lowest), np.float32(highest)
    step = (stop - start) / np.float32(PAPERS_STEPS)
    return np.arange(start, stop, step, dtype=np.float32) if step > 0 else np.zeros(0, np.float32)
