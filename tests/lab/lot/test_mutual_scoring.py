"""Blockwise mutual scoring against the paper's equations written out: loops over images and patches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipspect_lab.lot import mutual_scoring
from clipspect_lab.lot.disk_array import DiskArray
from clipspect_lab.lot.mutual_scoring import (
    aggregated,
    block_pairs,
    mutual_scores,
    nearest_distances,
    rescored,
)

Array = npt.NDArray[np.float32]


def unit(rows: npt.NDArray[np.float64]) -> Array:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def plain_aggregated(patches: Array, grid: tuple[int, int], degree: int) -> Array:
    rows, columns = grid
    field, radius, found = patches.reshape(rows, columns, -1).astype(np.float64), degree // 2, []
    for row in range(rows):
        for column in range(columns):
            near = [
                field[r, c]
                for r in range(max(0, row - radius), min(rows, row + radius + 1))
                for c in range(max(0, column - radius), min(columns, column + radius + 1))
            ]
            found.append(np.mean(near, axis=0))
    return unit(np.array(found))


def plain_scores(lot: list[Array]) -> Array:
    scores = []
    for i, own in enumerate(lot):
        others = [
            [min(np.linalg.norm(patch - other) for other in theirs) for patch in own]
            for j, theirs in enumerate(lot)
            if j != i
        ]
        lowest = max(1, int(0.3 * len(others)))
        scores.append(np.sort(np.array(others), axis=0)[:lowest].mean(axis=0))
    return np.array(scores, np.float32)


def plain_rescored(scores: Array, embeddings: Array) -> list[float]:
    found = []
    for own in embeddings:
        weights = np.maximum(embeddings @ own, 0)
        means = []
        for k in (1, 2, 3):
            nearest = sorted(range(len(scores)), key=lambda j, w=weights: -w[j])[:k]
            means.append(sum(weights[j] * scores[j] for j in nearest) / sum(weights[j] for j in nearest))
        found.append(float(np.mean(means)))
    return found


@given(rows=st.integers(1, 6), columns=st.integers(1, 6), degree=st.sampled_from([1, 3, 5]))
@settings(max_examples=30)
def test_patches_are_averaged_over_their_neighbours_on_the_grid(rows: int, columns: int, degree: int) -> None:
    patches = unit(np.random.default_rng(rows + 7 * columns).standard_normal((rows * columns, 4)))
    expected = plain_aggregated(patches, (rows, columns), degree)
    np.testing.assert_allclose(aggregated(patches, (rows, columns), degree), expected, atol=1e-5)


@pytest.mark.parametrize("images", [3, 4, 12])
@pytest.mark.parametrize("images_at_once", [1, 2, 5])
def test_scores_are_those_of_the_equations_whatever_the_blocks(
    images: int, images_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutual_scoring, "_PRODUCT_BYTES", 4 * (images_at_once * 6) ** 2)
    random = np.random.default_rng(images)
    lot = [unit(random.standard_normal((6, 5))) for _ in range(images)]
    steps = []
    with DiskArray((images, images, 6)) as distances:
        nearest_distances(lot.__getitem__, distances, lambda: steps.append(1))
        found = mutual_scores(distances)
    np.testing.assert_allclose(found, plain_scores(lot), atol=1e-3)  # the root of a rounded difference near 0
    assert len(steps) == block_pairs(images, 6)


def test_scores_are_smoothed_over_the_images_that_look_alike() -> None:
    random = np.random.default_rng(1)
    scores, embeddings = random.random(9).astype(np.float32), unit(random.standard_normal((9, 3)))
    np.testing.assert_allclose(rescored(scores, embeddings), plain_rescored(scores, embeddings), atol=1e-5)
    apart = np.eye(9, dtype=np.float32)
    np.testing.assert_allclose(rescored(scores, apart), scores, atol=1e-6)


def test_the_only_patch_without_its_like_has_the_highest_score() -> None:
    good = unit(np.random.default_rng(2).standard_normal((6, 5)))
    lot = [good[np.random.default_rng(index).permutation(6)] for index in range(8)]
    lot[3] = lot[3].copy()
    lot[3][4] = -good.mean(axis=0) / np.linalg.norm(good.mean(axis=0))
    with DiskArray((8, 8, 6)) as distances:
        nearest_distances(lot.__getitem__, distances, lambda: None)
        scores = mutual_scores(distances)
    assert np.unravel_index(scores.argmax(), scores.shape) == (3, 4)
    assert np.delete(scores.ravel(), 3 * 6 + 4).max() < 1e-3


def test_a_part_of_an_array_on_disk_comes_back_and_one_that_was_not_written_is_an_error() -> None:
    with DiskArray((3, 2, 4)) as array:
        array.write((1, 1), np.arange(4, dtype=np.float32))
        assert array.read((1, 1)).tolist() == [0, 1, 2, 3]
        with pytest.raises(ValueError, match="was not written"):
            array.read((2, 0))
        with pytest.raises(ValueError, match="has the shape"):
            array.write((0, 0), np.zeros(5, np.float32))
