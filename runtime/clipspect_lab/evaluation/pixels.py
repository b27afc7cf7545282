"""Pixel metrics of many maps in bounded memory: exact up to a number of pixels, from there in bins with a stated error.

Both ways read the maps twice: first to survey them, then to lay out their levels. Exact sorts all pixels, 8 bytes each.
Bins are quantiles of a sample of the pixels, so they are narrow where the scores are; whatever the bins, the largest
error that they can make is computed from what fell into them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from clipspect.inspection.maps import Map
from clipspect.inspection.regions import component_areas
from clipspect_lab.evaluation.curves import Curves, Figures, Levels, Totals, papers_thresholds

EXACT_PIXELS = 1 << 26  # 67 million: 250 maps of 518 x 518; 0.5 GB while they are sorted
BINS = 1 << 18
_SAMPLE = 1 << 22  # pixels, of which the bins are the quantiles
_BLOCK = 1 << 20  # sorted pixels that are made into levels at a time
_HIGH = np.uint64(0xFFFFFFFF00000000)
_SIGN = np.uint32(0x80000000)

Mask: TypeAlias = npt.NDArray[np.bool_]
Pairs: TypeAlias = Callable[[], Iterable[tuple[Map, Mask]]]


@dataclass(frozen=True)
class MeasuredPixels:
    """The figures of all pixels together, the good images' included."""

    figures: Figures
    largest_errors: Figures | None  # None: exact
    pixels: int
    regions: int


@dataclass(frozen=True)
class Survey:
    """What one pass over the maps tells."""

    totals: Totals
    lowest: float
    highest: float
    sample: Map  # sorted

    @property
    def pixels(self) -> int:
        return self.totals.defects + self.totals.goods


def pixel_figures(
    pairs: Pairs, found: Survey | None = None, *, exact_pixels: int = EXACT_PIXELS, bins: int = BINS
) -> MeasuredPixels:
    """Pixel AUROC, average precision, largest F1 and both AUPROs.

    `pairs()` gives the maps, float32 (H, W), with their masks, bool (H, W), True where defective; it is called twice,
    or once where `found` is their survey, and must give the same each time. A region is an 8-connected component of a
    mask. Raises ValueError for maps that are not finite float32 or differ from their mask in shape.
    """
    found = found or survey(pairs)
    thresholds = papers_thresholds(found.lowest, found.highest)
    curves = Curves(found.totals, thresholds)
    exact = found.pixels <= exact_pixels
    for levels in _exact(pairs, found.pixels) if exact else _binned(pairs, _edges(found, thresholds, bins)):
        curves.add(levels)
    errors = None if exact else curves.largest_errors()
    return MeasuredPixels(curves.figures(), errors, found.pixels, found.totals.regions)


def survey(pairs: Pairs) -> Survey:
    """Totals, the range of the values, and a sample: every n-th pixel, n doubling whenever the sample is full."""
    defects = goods = regions = 0
    lowest, highest = np.inf, -np.inf
    sample, taken, stride = np.empty(_SAMPLE, np.float32), 0, 1
    for anomaly_map, mask in pairs():
        _check(anomaly_map, mask)
        inside = int(np.count_nonzero(mask))
        defects, goods = defects + inside, goods + mask.size - inside
        if inside:
            regions += component_areas(mask)[1]
        lowest, highest = min(lowest, float(anomaly_map.min())), max(highest, float(anomaly_map.max()))
        chosen = anomaly_map.ravel()[::stride]
        while taken + chosen.size > sample.size:
            sample[: taken // 2] = sample[: taken // 2 * 2 : 2].copy()
            taken, stride, chosen = taken // 2, stride * 2, chosen[::2]
        sample[taken : taken + chosen.size] = chosen
        taken += chosen.size
    if not defects + goods:
        lowest = highest = 0.0
    return Survey(Totals(defects, goods, regions), lowest, highest, np.sort(sample[:taken]))


def _check(anomaly_map: Map, mask: Mask) -> None:
    if anomaly_map.dtype != np.float32 or anomaly_map.shape != mask.shape or anomaly_map.ndim != 2:
        raise ValueError(
            f"expected a float32 map (H, W) and its mask, found {anomaly_map.dtype} {anomaly_map.shape} "
            f"and a mask {mask.shape}"
        )
    if not np.isfinite(anomaly_map).all():
        raise ValueError("maps must be finite, found NaN or infinity")


def _exact(pairs: Pairs, pixels: int) -> Iterator[Levels]:
    """Every pixel as one uint64, its score's rank above its region's area (0: good), sorted in place."""
    packed, filled = np.empty(pixels, np.uint64), 0
    for anomaly_map, mask in pairs():
        part = packed[filled : filled + mask.size]
        part[:] = _rank(anomaly_map.ravel())
        part <<= np.uint64(32)
        if mask.any():
            part[mask.ravel()] |= component_areas(mask)[0]
        filled += mask.size
    packed.sort()
    held: Levels | None = None  # the last level so far: more of the same score may come
    for end in range(pixels, 0, -_BLOCK):
        levels = _levels_of(packed[max(end - _BLOCK, 0) : end][::-1])
        levels = levels if held is None else _joined(held, levels)
        yield Levels(*(column[:-1] for column in levels))
        held = Levels(*(column[-1:] for column in levels))
    if held is not None:
        yield held


def _levels_of(block: npt.NDArray[np.uint64]) -> Levels:
    """Descending packed pixels as levels."""
    rank, area = (block >> np.uint64(32)).astype(np.uint32), block.astype(np.uint32)
    first = np.flatnonzero(np.concatenate(([True], rank[1:] != rank[:-1])))
    inside = area > 0
    overlap = np.divide(1.0, area, out=np.zeros(area.size), where=inside)
    defects = np.add.reduceat(inside.astype(np.int64), first)
    goods = np.diff(np.append(first, area.size)) - defects
    return Levels(_unrank(rank[first]), defects, goods, np.add.reduceat(overlap, first))


def _joined(one: Levels, others: Levels) -> Levels:
    """One level before others, whose first may be of the same score."""
    if one.score[0] != others.score[0]:
        return Levels(*(np.concatenate(columns) for columns in zip(one, others)))
    for total, column in zip(others[1:], one[1:]):
        total[0] += column[0]
    return others


def _edges(found: Survey, thresholds: npt.NDArray[np.float32], bins: int) -> Map:
    """Upper edges of the bins, ascending: quantiles of the sample, the papers' thresholds and the highest value."""
    ranks = np.linspace(0, found.sample.size - 1, bins).astype(np.int64)
    return np.unique(np.concatenate((found.sample[ranks], thresholds, np.array([found.highest], np.float32))))


def _binned(pairs: Pairs, edges: Map) -> Iterator[Levels]:
    """One part: a bin holds what lies above the edge before its own, and up to its own."""
    defects, goods, overlap = np.zeros(edges.size, np.int64), np.zeros(edges.size, np.int64), np.zeros(edges.size)
    for anomaly_map, mask in pairs():
        goods += np.diff(np.searchsorted(np.sort(anomaly_map[~mask]), edges, side="right"), prepend=0)
        if mask.any():
            bin_of = np.searchsorted(edges, anomaly_map[mask], side="left")
            defects += np.bincount(bin_of, minlength=edges.size)
            overlap += np.bincount(bin_of, 1.0 / component_areas(mask)[0], minlength=edges.size)
    yield Levels(edges[::-1], defects[::-1], goods[::-1], overlap[::-1])


def _rank(score: Map) -> npt.NDArray[np.uint32]:
    """uint32 in the order of float32; the two zeros are one."""
    bits = (score + np.float32(0)).view(np.uint32)
    rank: npt.NDArray[np.uint32] = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    return rank


def _unrank(rank: npt.NDArray[np.uint32]) -> Map:
    return np.where(rank & _SIGN, rank & ~_SIGN, ~rank).view(np.float32)
