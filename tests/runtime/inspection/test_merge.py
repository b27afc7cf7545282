"""Answers to the views of a frame become one map and one score: exact, or without a seam."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clipspect.frame.tiling import Tiling
from clipspect.frame.views import Box, View, whole_frame
from clipspect.inspection.maps import Map
from clipspect.inspection.merge import Merged

SIDE = 24  # of an answer's map


def merged(views: tuple[View, ...], maps: Map, scores: list[float] | None = None, at_once: int = 3) -> Merged:
    """The answers, a few at a time."""
    found = Merged(views, maps.shape[1:])
    scored = np.array(scores or [0.5] * len(views), np.float32)
    for first in range(0, len(views), at_once):
        found.add(scored[first : first + at_once], maps[first : first + at_once])
    return found


def answers(views: tuple[View, ...], field: Map) -> Map:
    """What a model answers that sees `field`, the frame's own map, in each view, as a mean over its pixels."""
    return np.stack([
        np.asarray(Image.fromarray(field[view.crop.slices]).resize((SIDE, SIDE), Image.Resampling.BOX))
        for view in views
    ])  # fmt: skip


def test_the_score_is_that_of_the_most_anomalous_view() -> None:
    views = Tiling(grid=(3, 2)).views(Box(0, 0, 90, 60))
    maps = np.zeros((6, SIDE, SIDE), np.float32)
    assert merged(views, maps, [0.1, 0.2, 0.125, 0.9375, 0.3, 0.2], at_once=2).score == 0.9375


@pytest.mark.parametrize("view", [whole_frame(80, 60)[0], View(Box(5, 6, 40, 30), Box(5, 6, 40, 30))])
def test_one_view_keeps_its_map_as_it_is_and_not_its_batch(view: View) -> None:
    batch = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    found = Merged((view,), (4, 5))
    found.add(np.ones(1, np.float32), batch[1:2])
    np.testing.assert_array_equal(found.map, batch[1])
    assert not np.shares_memory(found.map, batch)
    assert found.box == view.placement


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_tiles_of_a_partition_lie_beside_each_other_as_numpy_lays_them(columns: int, rows: int, seed: int) -> None:
    views = Tiling(grid=(columns, rows), overlap=0).views(Box(7, 5, 7 + columns * 96, 5 + rows * 48))
    maps = np.random.default_rng(seed).random((rows * columns, SIDE, SIDE), np.float32)
    found = merged(views, maps)
    expected = maps.reshape(rows, columns, SIDE, SIDE).transpose(0, 2, 1, 3).reshape(rows * SIDE, columns * SIDE)
    np.testing.assert_array_equal(found.map, expected)
    assert found.box == Box(7, 5, 7 + columns * 96, 5 + rows * 48)


@given(st.integers(30, 200), st.integers(30, 200), st.integers(20, 120), st.integers(0, 60))
def test_a_map_that_is_the_same_everywhere_stays_so(width: int, height: int, side: int, overlap: int) -> None:
    views = Tiling(size=(side, side), overlap=overlap).views(Box(0, 0, width, height))
    found = merged(views, np.full((len(views), SIDE, SIDE), 0.7, np.float32))
    np.testing.assert_allclose(found.map, 0.7, rtol=1e-6)


@given(st.integers(30, 400), st.integers(30, 400), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_the_blend_is_the_weighted_mean_of_pixels_that_each_tile_gives(
    width: int, height: int, columns: int, rows: int, seed: int
) -> None:
    """Against a plain loop over pixels and tiles, in double precision."""
    views = Tiling(grid=(columns, rows)).views(Box(0, 0, width, height))
    maps = np.random.default_rng(seed).random((len(views), 6, 5), np.float32)
    found = merged(views, maps).map
    high, wide = found.shape
    picks = np.random.default_rng(seed + 1).integers(0, (high, wide), (20, 2))
    for row, column in picks:
        x, y = (column + 0.5) * width / wide, (row + 0.5) * height / high
        total = weights = 0.0
        for view, answered in zip(views, maps):
            crop = view.crop
            if not (crop.left <= x < crop.right and crop.top <= y < crop.bottom):
                continue
            weight = (0.5 + min(x - crop.left, crop.right - x)) * (0.5 + min(y - crop.top, crop.bottom - y))
            across = _triangle((x - crop.left) * 5 / crop.width, 5, 5 / crop.width * width / wide)
            down = _triangle((y - crop.top) * 6 / crop.height, 6, 6 / crop.height * height / high)
            total += weight * float(down @ answered.astype(np.float64) @ across)
            weights += weight
        assert found[row, column] == pytest.approx(total / weights, abs=2e-6)


def _triangle(place: float, length: int, shrunk: float) -> np.ndarray:
    taps = np.maximum(1 - np.abs(place - np.arange(length) - 0.5) / max(1.0, shrunk), 0)
    return np.asarray(taps / taps.sum())


def test_tiles_that_agree_show_no_seam() -> None:
    """Of a smooth field, each tile with an error of its own that grows towards its edges, as a model's do."""
    width, height = 700, 500
    y, x = np.mgrid[:height, :width]
    field = (0.5 + 0.3 * np.sin(x / 60) * np.cos(y / 45)).astype(np.float32)
    views = Tiling(size=(200, 200)).views(Box(0, 0, width, height))
    edge = np.abs(np.linspace(-1, 1, SIDE)) ** 4
    errors = np.random.default_rng(0).uniform(-0.1, 0.1, (len(views), 1, 1)) * np.maximum(edge[:, None], edge)
    found = merged(views, answers(views, field) + errors.astype(np.float32)).map
    scale = width / found.shape[1]
    borders = sorted({round(side / scale) for view in views for side in (view.crop.left, view.crop.right)})
    steps = np.abs(np.diff(found, axis=1))
    crossing = [border - 1 for border in borders if 0 < border < found.shape[1]]
    inside = np.delete(steps, crossing, axis=1)
    assert steps[:, crossing].mean() < 1.1 * inside.mean()
    assert steps[:, crossing].max() < 1.1 * inside.max()


def test_a_map_has_no_more_pixels_than_the_frame() -> None:
    views = Tiling(size=(12, 12)).views(Box(0, 0, 40, 30))
    found = merged(views, np.random.default_rng(0).random((len(views), SIDE, SIDE), np.float32))
    assert found.map.shape == (30, 40)


def test_what_a_view_sees_beyond_its_placement_is_not_used() -> None:
    left, right = Box(0, 0, 16, 16), Box(16, 0, 32, 16)
    views = View(Box(0, 0, 20, 16), left), View(Box(12, 0, 32, 16), right)
    maps = np.stack([np.full((16, 20), 0.25, np.float32), np.full((16, 20), 0.75, np.float32)])
    expected = np.repeat(np.array([[0.25] * 16 + [0.75] * 16], np.float32), 16, axis=0)
    np.testing.assert_array_equal(merged(views, maps).map, expected)


def test_where_no_view_is_placed_the_map_is_0() -> None:
    views = Tiling(grid=(3, 3), overlap=0).views(Box(0, 0, 30, 30))
    found = merged((*views[:4], *views[5:]), np.ones((8, 10, 10), np.float32)).map
    assert not found[10:20, 10:20].any()
    assert found.sum() == 800
