"""How well scores separate good from defective."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def auroc(defective: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """Area under the ROC curve: the chance that a defective item outscores a good one, ties counting half. Exact.

    Image AUROC from (N,) labels and scores, pixel AUROC from masks and maps of one shape. None when there is only
    one class. Raises ValueError for scores that are not finite or shapes that differ.
    """
    label: npt.NDArray[Any] = np.asarray(defective, dtype=bool)
    score: npt.NDArray[Any] = np.asarray(scores)
    if label.shape != score.shape:
        raise ValueError(f"labels have the shape {label.shape}, scores {score.shape}")
    if not np.isfinite(score).all():
        raise ValueError("scores must be finite")
    label, score = label.ravel(), score.ravel()
    positives = int(label.sum())
    negatives = label.size - positives
    if positives == 0 or negatives == 0:
        return None
    order = np.argsort(score)
    label, score = label[order], score[order]
    tie_starts = np.flatnonzero(np.concatenate(([True], score[1:] != score[:-1])))
    defects = np.add.reduceat(label.astype(np.int64), tie_starts)  # per tied score
    goods = np.diff(np.append(tie_starts, label.size)) - defects
    goods_below = np.cumsum(goods) - goods
    twice_wins: int = sum((defects * (2 * goods_below + goods)).tolist())  # Python's integers do not overflow
    return twice_wins / (2 * positives * negatives)
