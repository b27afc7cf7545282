"""Connected components of an anomaly map over a limit, by runs: a few array operations, whatever the image's size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipspect.inspection.maps import box_over, enlarge

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Region:
    """One 8-connected area of the source image where the anomaly map lies over the limit; in pixels."""

    x: int  # left and top of the bounding box
    y: int
    width: int
    height: int
    area: int
    peak: float  # the map's largest value inside
    centroid: tuple[float, float]  # x, y; unweighted


@dataclass(frozen=True)
class _Runs:
    """Horizontal stretches of pixels over the limit, in reading order."""

    row: Ints
    start: Ints
    end: Ints  # exclusive
    peak: npt.NDArray[np.float32]


def find_regions(
    anomaly_map: npt.NDArray[np.float32], limit: float, origin: tuple[int, int] = (0, 0)
) -> tuple[Region, ...]:
    """8-connected components of `anomaly_map > limit`, (H, W) float32: the highest peak first, then reading order.

    `origin` is where the map's first pixel lies in the source image, x and y.
    """
    runs = _find_runs(anomaly_map, limit)
    if runs.row.size == 0:
        return ()
    label = _components(runs.row.size, *_touching(runs, anomaly_map.shape[1]))
    x, y = origin
    return _measure(_Runs(runs.row + y, runs.start + x, runs.end + x, runs.peak), label)


def regions_in_source(
    model_map: npt.NDArray[np.float32], width: int, height: int, limit: float, origin: tuple[int, int] = (0, 0)
) -> tuple[Region, ...]:
    """`find_regions(to_source_size(model_map, width, height), limit, origin)`, and only what can be over the limit is
    made.
    """
    box = box_over(model_map, width, height, limit)
    if box is None:
        return ()
    return find_regions(enlarge(model_map, width, height, box), limit, (origin[0] + box.left, origin[1] + box.top))


def component_areas(mask: Mask) -> tuple[npt.NDArray[np.uint32], int]:
    """For every True pixel of a mask (H, W), in reading order, the area of its 8-connected component; and how many."""
    label, length = _labelled(mask)
    area = np.zeros(label.size, np.int64)
    np.add.at(area, label, length)
    return np.repeat(area[label], length).astype(np.uint32), int(np.count_nonzero(label == np.arange(label.size)))


def component_at(mask: Mask, row: int, column: int) -> Mask:
    """The 8-connected component of a mask (H, W) that a True pixel of it belongs to."""
    label, length = _labelled(mask)
    of_pixels = np.repeat(label, length)
    found = np.zeros_like(mask)
    found[mask] = of_pixels == of_pixels[np.count_nonzero(mask.ravel()[: row * mask.shape[1] + column])]
    return found


def _labelled(mask: Mask) -> tuple[Ints, Ints]:
    """Of each run of True pixels, in reading order, its component and its length."""
    runs = _find_runs(mask.astype(np.float32), 0.5)
    return _components(runs.row.size, *_touching(runs, mask.shape[1])), runs.end - runs.start


def _find_runs(anomaly_map: npt.NDArray[np.float32], limit: float) -> _Runs:
    rows, columns = anomaly_map.shape
    over = np.zeros((rows, columns + 1), dtype=bool)  # the last column ends every run at its row
    np.greater(anomaly_map, limit, out=over[:, :columns])
    flat = over.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[0]:
        edges = np.concatenate(([0], edges))
    first, last = edges[0::2], edges[1::2]
    row = first // (columns + 1)
    # the same stretches in the map itself, each followed by the one between it and the next
    bounds = np.stack((first - row, last - row), axis=1).ravel()[: -1 if over[-1, -2] else None]
    peak = np.maximum.reduceat(anomaly_map.ravel(), bounds)[::2] if bounds.size else np.empty(0, np.float32)
    return _Runs(row, first - row * (columns + 1), last - row * (columns + 1), peak)


def _touching(runs: _Runs, columns: int) -> tuple[Ints, Ints]:
    """Pairs of runs in neighbouring rows that touch, corners included.

    In the row above, the runs that touch run i are consecutive: from the first that ends at or after i's start to the
    last that starts at or before i's end. Both are binary searches over keys that grow in reading order.
    """
    width = columns + 1
    above = (runs.row - 1) * width
    low = np.searchsorted(runs.row * width + runs.end, above + runs.start, side="left")
    high = np.searchsorted(runs.row * width + runs.start, above + runs.end, side="right")
    count = np.maximum(high - low, 0)
    below = np.repeat(np.arange(runs.row.size), count)
    step = np.arange(below.size) - np.repeat(np.cumsum(count) - count, count)
    return below, np.repeat(low, count) + step


def _components(size: int, left: Ints, right: Ints) -> Ints:
    """Each node's component, named by its smallest node: hook roots onto smaller ones, flatten, until nothing moves."""
    parent = np.arange(size)
    while True:
        a, b = parent[left], parent[right]
        apart = a != b
        if not apart.any():
            return parent
        left, right, a, b = left[apart], right[apart], a[apart], b[apart]
        np.minimum.at(parent, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(flat := parent[parent], parent):
            parent = flat


def _measure(runs: _Runs, label: Ints) -> tuple[Region, ...]:
    order = np.argsort(label, kind="stable")
    row, start, end, peak = runs.row[order], runs.start[order], runs.end[order], runs.peak[order]
    sorted_label = label[order]
    first = np.flatnonzero(np.concatenate(([True], sorted_label[1:] != sorted_label[:-1])))
    length = end - start
    area = np.add.reduceat(length, first)
    left, right = np.minimum.reduceat(start, first), np.maximum.reduceat(end, first)
    top, bottom = np.minimum.reduceat(row, first), np.maximum.reduceat(row, first) + 1
    peaks = np.maximum.reduceat(peak, first)
    mean_x = np.add.reduceat(length * (start + end - 1), first) / (2 * area)
    mean_y = np.add.reduceat(length * row, first) / area
    worst_first = np.lexsort((left, top, -peaks))
    columns = (left, top, right - left, bottom - top, area, peaks, mean_x, mean_y)
    table = zip(*(column[worst_first].tolist() for column in columns))
    return tuple(Region(x, y, w, h, a, p, (cx, cy)) for x, y, w, h, a, p, cx, cy in table)
