"""How well scores separate good from defective: AUROC, average precision and the largest F1, exact, ties included.

They are scikit-learn's figures, by the sums that the pixel figures need anyway: so the demo, which is installed without
scikit-learn, and the exporter's check of a precision have the same ones. The tests compare the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.recipes.defects import best_f1
from clipspect_lab.evaluation.curves import Curves, Figures, Levels, Totals


def auroc(defective: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """Area under the ROC curve: the chance that a defective item outscores a good one, ties counting half.

    Image AUROC from (N,) labels and scores, pixel AUROC from masks and maps of one shape. None when there is only
    one class. Raises ValueError for scores that are not finite or shapes that differ.
    """
    return image_figures(defective, scores).auroc


def average_precision(defective: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """Sum of precision times gain of recall over the distinct scores, highest first: scikit-learn's definition.

    Arguments, None and errors as `auroc`.
    """
    return image_figures(defective, scores).average_precision


def f1_max(defective: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """The largest F1, 2 TP / (2 TP + FP + FN), that a limit on the score can reach. Arguments as `auroc`."""
    return image_figures(defective, scores).f1_max


def f1_limit(defective: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """The highest limit at which F1 is largest, a score from it on being defective. Arguments and None as `auroc`."""
    label, score = np.asarray(defective, dtype=bool), np.asarray(scores)
    if label.all() or not label.any():
        return None
    return best_f1(score[~label], score[label]).limit


def image_figures(defective: npt.ArrayLike, scores: npt.ArrayLike) -> Figures:
    """All three at once; no AUPRO. Arguments, None and errors as `auroc`."""
    label: npt.NDArray[Any] = np.asarray(defective, dtype=bool)
    score: npt.NDArray[Any] = np.asarray(scores)
    if label.shape != score.shape:
        raise ValueError(f"labels have the shape {label.shape}, scores {score.shape}")
    if not np.isfinite(score).all():
        raise ValueError("scores must be finite, found NaN or infinity")
    levels = _levels(label.ravel(), score.ravel())
    curves = Curves(Totals(int(levels.defects.sum()), int(levels.goods.sum())))
    curves.add(levels)
    return curves.figures()


def _levels(label: npt.NDArray[np.bool_], score: npt.NDArray[Any]) -> Levels:
    if not score.size:
        return Levels(score, *np.zeros((3, 0), np.int64))
    order = np.argsort(score)[::-1]
    label, score = label[order], score[order]
    first = np.flatnonzero(np.concatenate(([True], score[1:] != score[:-1])))
    defects = np.add.reduceat(label.astype(np.int64), first)
    goods = np.diff(np.append(first, label.size)) - defects
    return Levels(score[first], defects, goods, np.zeros(first.size))
