"""Which windows of WinCLIP raised a region: the map is made again, with one window less anomalous at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.inspection.explanation_grid import Grid, covered

Floats = npt.NDArray[np.float64]

_SMALLEST = 1e-20  # as in the graph, so that no inverse is infinite
_HARMONIC, _ARITHMETIC = "harmonic", "arithmetic"


@dataclass(frozen=True)
class Raised:
    """What one window does to a region."""

    scale: int
    window: int  # of its scale, row-major
    probability: float
    by: float


@dataclass(frozen=True, eq=False)
class WindowValues:
    """The probability of the anomalous state of each window of a view, and how they become a map of patches."""

    grid: Grid
    stride: int
    fusion: str  # of the scales
    image: float  # the whole view's
    scales: Mapping[int, Floats] = field(repr=False)  # by scale, (windows,)

    @classmethod
    def of(
        cls,
        grid: Grid,
        parameters: Mapping[str, Any],
        text_features: npt.NDArray[np.float32],
        image: npt.NDArray[np.float32],
        rows: Mapping[int, npt.NDArray[np.float32]],
    ) -> WindowValues:
        """Of a bundle's parameters, (2, P, D) of a recipe, and the view's and its windows' embeddings of length 1."""
        unit = text_features / np.linalg.norm(text_features, axis=-1, keepdims=True)

        def probability(embeddings: npt.NDArray[np.float32]) -> Floats:
            normal, anomalous = ((embeddings @ state.T).max(axis=-1).astype(np.float64) for state in unit)
            found: Floats = 1 / (1 + np.exp((normal - anomalous) / float(parameters["temperature"])))
            return np.maximum(found, _SMALLEST)

        return cls(
            grid,
            int(parameters.get("window_stride", 1)),
            str(parameters.get("scale_fusion", _HARMONIC)),
            float(probability(image)),
            {scale: probability(own) for scale, own in rows.items()},
        )

    def patches(self) -> Floats:
        """The map on the grid, (patches,)."""
        return self._fused(list(self._inverse.values()))

    def raised(self, weights: Floats) -> list[Raised]:
        """By how much each window raises the mean of the map, weighted (patches,): the most first.

        It is the difference to the map in which that window has the median of its scale. One that is no more anomalous
        than the median, or covers nothing of weight, raises nothing.
        """
        before, places = self.patches(), list(self._inverse)
        found = []
        for scale, values in self.scales.items():
            cover, count = covered(self.grid, scale, self.stride), self._count[scale]
            usual = float(np.median(values))
            for window in np.flatnonzero(cover @ weights > 0):
                if values[window] <= usual:
                    continue
                inverse = list(self._inverse.values())
                inverse[places.index(scale)] = (
                    self._inverse[scale] + cover[window] * (1 / usual - 1 / values[window]) / count
                )
                by = float(weights @ (before - self._fused(inverse)) / weights.sum())
                found.append(Raised(scale, int(window), float(values[window]), by))
        return sorted(found, key=lambda raised: -raised.by)

    @cached_property
    def _count(self) -> dict[int, Floats]:
        """Of each scale how many windows hold a patch."""
        return {scale: covered(self.grid, scale, self.stride).sum(axis=0).astype(np.float64) for scale in self.scales}

    @cached_property
    def _inverse(self) -> dict[int, Floats]:
        """Of each scale and patch the mean of the inverses of the windows that hold it."""
        return {
            scale: (1 / values) @ covered(self.grid, scale, self.stride) / self._count[scale]
            for scale, values in self.scales.items()
        }

    def _fused(self, inverse: Sequence[Floats]) -> Floats:
        stacked = np.stack(inverse)
        if self.fusion == _HARMONIC:
            harmonic: Floats = (len(stacked) + 1) / (stacked.sum(axis=0) + 1 / self.image)
            return harmonic
        scales = 1 / stacked
        found: Floats = (
            (scales.sum(axis=0) + self.image) / (len(stacked) + 1) if self.fusion == _ARITHMETIC else scales.max(axis=0)
        )
        return found
