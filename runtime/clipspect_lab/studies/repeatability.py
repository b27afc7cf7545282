"""Repeatability of a score: the spread within parts beside the spread between them, by a one-way analysis of variance.

A gauge study with one appraiser, the machine: what tools call repeatability, %GRR and distinct categories.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipspect.base.errors import DatasetError
from clipspect.recipes.promise import CONFIDENCE
from clipspect_lab.studies.chi_square import chi_square_quantile


@dataclass(frozen=True)
class Repeatability:
    """Standard deviations of the score."""

    parts: int
    photographs: int
    sigma: float  # within parts, pooled over all of them
    interval: tuple[float, float]  # of sigma, by chi-square
    between_sigma: float  # of the parts' true scores; 0 where the spread within them explains all

    @property
    def degrees(self) -> int:
        """Degrees of freedom of sigma."""
        return self.photographs - self.parts

    @property
    def total_sigma(self) -> float:
        return math.hypot(self.sigma, self.between_sigma)

    @property
    def share(self) -> float | None:
        """Sigma's share of the total standard deviation (%GRR); None where nothing varies."""
        return self.sigma / self.total_sigma if self.total_sigma else None

    @property
    def variance_share(self) -> float | None:
        """Its share of the total variance (% contribution)."""
        return None if self.share is None else self.share**2

    @property
    def distinct_categories(self) -> int | None:
        """How many classes of parts the score can tell apart, 1.41 between / within, at least 1; None: sigma is 0."""
        return max(1, int(math.sqrt(2) * self.between_sigma / self.sigma)) if self.sigma else None


def repeatability_of(scores: Sequence[Sequence[float]], confidence: float = CONFIDENCE) -> Repeatability:
    """Of the scores of each part's photographs. Raises DatasetError for one part, and where nothing is repeated."""
    groups = [np.array(part, np.float64) for part in scores if len(part)]
    counts = np.array([len(group) for group in groups])
    require_repeats(counts.tolist(), " with valid photographs" if len(groups) < len(scores) else "")
    degrees = int(counts.sum()) - len(groups)
    means = np.array([group.mean() for group in groups])
    within = sum(float(((group - mean) ** 2).sum()) for group, mean in zip(groups, means)) / degrees
    total = int(counts.sum())
    mean = float((counts * means).sum()) / total
    between = float((counts * (means - mean) ** 2).sum()) / (len(groups) - 1)
    repeats = (total - float((counts**2).sum()) / total) / (len(groups) - 1)  # their mean where parts have as many
    low, high = (chi_square_quantile(p, degrees) for p in ((1 - confidence) / 2, (1 + confidence) / 2))
    return Repeatability(
        parts=len(groups),
        photographs=total,
        sigma=math.sqrt(within),
        interval=(math.sqrt(degrees * within / high), math.sqrt(degrees * within / low)),
        between_sigma=math.sqrt(max(0.0, (between - within) / repeats)),
    )


def require_repeats(counts: Sequence[int], kind: str = "") -> None:
    """Of how many photographs of each part there are; `kind` says of what parts. Raises DatasetError."""
    if len(counts) < 2:
        raise DatasetError(
            f"a study needs several parts{kind}, found {len(counts)}: 30 with 3 photographs each are usual"
        )
    if max(counts) == 1:
        raise DatasetError(
            f"{len(counts)} parts{kind}, one photograph each: repeatability needs repeats: place each part anew and "
            "photograph it again, 3 times are usual"
        )
