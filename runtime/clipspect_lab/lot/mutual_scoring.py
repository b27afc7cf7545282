"""Mutual scoring of unlabelled images (MuSc, Li et al., ICLR 2024), blockwise: memory does not grow with the lot.

Most patches of a lot have their like in most other images; those of a defect have it in few. Letters in shapes: N
images, L patches on a grid, W width, D embedding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from clipspect_lab.lot.disk_array import DiskArray

Array = npt.NDArray[np.float32]
Load = Callable[[int], Array]  # an image's patches (L, W), of length 1

DEGREES = (1, 3, 5)  # sides of the neighbourhoods that patches are averaged over (section 3.2)
LOWEST = 0.3  # share of the other images, those with the smallest distances, whose mean counts (section 3.3)
NEIGHBOURS = (1, 2, 3)  # images, itself included, over which a score is smoothed (section 3.4, the code's for MVTec AD)

_PRODUCT_BYTES = 32 << 20  # of one product of patches with patches


def aggregated(patches: Array, grid: tuple[int, int], degree: int) -> Array:
    """Patches (L, W) averaged over squares of `degree` patches a side, as much of it as lies on the grid; length 1."""
    field = patches.reshape(*grid, -1)
    for axis in (0, 1):
        field = _sums(field, axis, degree // 2)
    rows = field.reshape(patches.shape)
    smallest = np.finfo(np.float32).tiny
    unit: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), smallest)
    return unit


def _sums(field: Array, axis: int, radius: int) -> Array:
    """Of each place and its `radius` neighbours on both sides along one axis; what lies beyond the edge is nothing."""
    length, found = field.shape[axis], np.zeros_like(field)
    for shift in range(-radius, radius + 1):
        to, of = max(0, -shift), max(0, shift)
        count = length - abs(shift)
        if count > 0:
            into, source = [slice(None)] * field.ndim, [slice(None)] * field.ndim
            into[axis], source[axis] = slice(to, to + count), slice(of, of + count)
            found[tuple(into)] += field[tuple(source)]
    return found


def nearest_distances(load: Load, distances: DiskArray, done: Callable[[], None]) -> None:
    """Of each patch of image i, the distance to the nearest patch of image j: into `distances` (N, N, L).

    One product serves both directions. `done` is called after each pair of blocks, as often as `block_pairs` says.
    """
    count, _, patches = distances.shape
    size = _block(patches)
    for first in range(0, count, size):
        own = np.stack([load(index) for index in range(first, min(first + size, count))])  # (b, L, W)
        for second in range(first, count, size):
            others = np.stack([load(index) for index in range(second, min(second + size, count))])  # (c, L, W)
            cosines = (own.reshape(-1, own.shape[2]) @ others.reshape(-1, own.shape[2]).T).reshape(
                len(own), patches, len(others), patches
            )
            toward, back = _distance(cosines.max(axis=3)), _distance(cosines.max(axis=1))  # (b, L, c), (b, c, L)
            for i in range(len(own)):
                for j in range(len(others)):
                    distances.write((first + i, second + j), toward[i, :, j])
                    distances.write((second + j, first + i), back[i, j])
            done()


def block_pairs(count: int, patches: int) -> int:
    """How often `nearest_distances` calls `done`."""
    blocks = math.ceil(count / _block(patches))
    return blocks * (blocks + 1) // 2


def _block(patches: int) -> int:
    """Images whose patches are compared with as many others' at once."""
    return max(1, int(math.sqrt(_PRODUCT_BYTES / 4) / patches))


def _distance(cosines: Array) -> Array:
    """Between rows of length 1."""
    distance: Array = np.sqrt(np.maximum(2 - 2 * cosines, 0))
    return distance


def mutual_scores(distances: DiskArray) -> Array:
    """(N, N, L) to a score for each patch (N, L): the mean of the lowest 30 % of its distances to the other images."""
    count = distances.shape[0]
    lowest = max(1, int(LOWEST * (count - 1)))
    scores = []
    for index in range(count):
        others = np.delete(distances.read((index,)), index, axis=0)  # (N - 1, L)
        scores.append(np.partition(others, lowest - 1, axis=0)[:lowest].mean(axis=0))
    return np.stack(scores)


def rescored(scores: Array, embeddings: Array, neighbours: Sequence[int] = NEIGHBOURS) -> Array:
    """Image scores (N,) smoothed over the images that look alike by their embeddings (N, D), of length 1.

    For each number k the mean over an image's k nearest, itself included, weighted by their cosines; then the mean over
    the numbers. Of images that are unlike all others (a cosine not above 0) none but itself counts.
    """
    cosines = np.maximum(embeddings @ embeddings.T, 0)
    np.fill_diagonal(cosines, 1)
    order = np.argsort(-cosines, axis=1, kind="stable")
    means = []
    for k in neighbours:
        nearest = order[:, :k]
        weights = np.take_along_axis(cosines, nearest, axis=1)
        means.append((weights * scores[nearest]).sum(axis=1) / weights.sum(axis=1))
    smoothed: Array = np.mean(means, axis=0).astype(np.float32)
    return smoothed
