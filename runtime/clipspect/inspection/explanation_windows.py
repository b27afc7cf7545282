"""Which windows of WinCLIP raised a region: the map is made again, with one window less anomalous at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.bundle.windows_graph import HARMONIC
from clipspect.inspection.explanation_grid import Grid
from clipspect.inspection.window_layout import Floats, Scale, scale_of
from clipspect.inspection.window_scores import fused, inverse_mean, probability


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
        temperature = float(parameters["temperature"])
        return cls(
            grid,
            int(parameters.get("window_stride", 1)),
            str(parameters.get("scale_fusion", HARMONIC)),
            float(probability(image, text_features, temperature)),
            {scale: probability(own, text_features, temperature) for scale, own in rows.items()},
        )

    def patches(self) -> Floats:
        """The map on the grid, (patches,)."""
        return self._fused({side: mean for side, (mean, _) in self._means.items()})

    def raised(self, weights: Floats) -> list[Raised]:
        """By how much each window raises the mean of the map, weighted (patches,): the most first.

        It is the difference to the map in which that window has the median of its scale. One that is no more anomalous
        than the median, or covers nothing of weight, raises nothing.
        """
        inverse = {side: mean for side, (mean, _) in self._means.items()}
        before, found = self._fused(inverse), []
        for side, values in self.scales.items():
            scale, count, usual = self._layout[side], self._means[side][1], float(np.median(values))
            touching = scale.covering(weights.reshape(1, self.grid.rows, self.grid.columns) > 0)[0]
            for window in map(int, np.flatnonzero(touching & (values > usual))):
                more = scale.cover(window) * (1 / usual - 1 / values[window]) / count
                without = self._fused(inverse | {side: inverse[side] + more})
                by = float(weights @ (before - without) / weights.sum())
                found.append(Raised(side, window, float(values[window]), by))
        return sorted(found, key=lambda raised: -raised.by)

    @cached_property
    def _layout(self) -> dict[int, Scale]:
        return {side: scale_of((self.grid.rows, self.grid.columns), side, self.stride) for side in self.scales}

    @cached_property
    def _means(self) -> dict[int, tuple[Floats, Floats]]:
        """Of each scale, for each patch (rows, columns), the mean of the inverses of the windows that cover it, and
        how many these are."""
        found = {}
        for side, values in self.scales.items():
            mean, count = inverse_mean(self._layout[side], values[None], np.ones((1, len(values)), bool))
            found[side] = mean[0], count[0]
        return found

    def _fused(self, inverse: Mapping[int, Floats]) -> Floats:
        return fused(self.fusion, self.image, np.stack(list(inverse.values()))).ravel()
