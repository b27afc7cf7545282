"""A histogram of each image's pixels, so that figures of any choice of the images are a sum away: no map is kept.

The bins are the same for all images of a class: quantiles of its pixels, half of them evenly spaced and half towards
the highest values, where overlap and precision are decided.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clipspect.inspection.maps import Map
from clipspect.inspection.regions import component_areas
from clipspect_lab.evaluation.curves import Array, Curves, Levels, Totals, papers_thresholds
from clipspect_lab.evaluation.pixels import Pairs, Survey, survey

BINS = 1024
CELLS = 1 << 24  # images times bins, 16 bytes each: many images have fewer bins
_FEWEST_BINS = 64
_TAIL = 1e-6  # the share of the pixels that the highest bins resolve


@dataclass(frozen=True, eq=False)
class Histograms:
    """Of N images; bins by their upper edges, from the highest down."""

    edges: Map  # (B,)
    thresholds: Map  # of the papers' AUPRO; each is an edge
    defects: Array  # int32 (N, B), pixels
    goods: Array  # int32 (N, B)
    overlap: Array  # float64 (N, B), the sum of 1 / its region's area over the defective pixels
    regions: Array  # int64 (N,)

    def curves(self, defects: Array, goods: Array, overlap: Array, regions: int) -> Curves:
        """What sums over the images, each (B,), amount to."""
        curves = Curves(Totals(int(defects.sum()), int(goods.sum()), regions), self.thresholds)
        curves.add(Levels(self.edges, defects, goods, overlap))
        return curves

    def of_all(self) -> Curves:
        """The curves of every image once."""
        defects, goods = (part.sum(axis=0, dtype=np.int64) for part in (self.defects, self.goods))
        return self.curves(defects, goods, self.overlap.sum(axis=0), int(self.regions.sum()))

    def resampled(self, counts: Array) -> list[Curves]:
        """Those of resamples: (R, N), how often each has each image."""
        weights = counts.astype(np.float64)
        defects, goods = (np.rint(weights @ part).astype(np.int64) for part in (self.defects, self.goods))
        overlap, regions = weights @ self.overlap, counts @ self.regions
        rows = zip(defects, goods, overlap, regions)
        return [self.curves(*row[:3], int(row[3])) for row in rows]


def histograms(pairs: Pairs, images: int, found: Survey | None = None) -> Histograms:
    """One pass over the maps to count, and one to survey them first; arguments and errors as `pixel_figures`.

    `images` is how many there are.
    """
    found = found or survey(pairs)
    thresholds = papers_thresholds(found.lowest, found.highest)
    edges = _edges(found.sample, thresholds, found.highest, max(min(BINS, CELLS // max(images, 1)), _FEWEST_BINS))
    counted = np.zeros((2, images, edges.size), np.int32)
    overlap, regions = np.zeros((images, edges.size)), np.zeros(images, np.int64)
    for row, (anomaly_map, mask) in enumerate(pairs()):
        bin_of = np.searchsorted(edges, anomaly_map, side="left")
        counted[1, row] = np.bincount(bin_of[~mask], minlength=edges.size)
        if mask.any():
            areas, regions[row] = component_areas(mask)
            counted[0, row] = np.bincount(bin_of[mask], minlength=edges.size)
            overlap[row] = np.bincount(bin_of[mask], 1.0 / areas, minlength=edges.size)
    defects, goods = counted[:, :, ::-1]
    return Histograms(edges[::-1], thresholds, defects, goods, overlap[:, ::-1], regions)


def _edges(sample: Map, thresholds: Map, highest: float, bins: int) -> Map:
    """Ascending upper edges: quantiles of the sorted sample, the papers' thresholds and the highest value."""
    even = np.linspace(0, 1, bins // 2)
    tail = 1 - np.geomspace(1, _TAIL, bins - bins // 2)
    ranks = (np.concatenate((even, tail)) * max(sample.size - 1, 0)).astype(np.int64)
    chosen = sample[ranks] if sample.size else sample
    return np.unique(np.concatenate((chosen, thresholds, np.array([highest], np.float32))))
