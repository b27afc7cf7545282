"""Views of a frame: what each sees, and one map and one score of their answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import clipspect
from clipspect.frame.prepare import prepare
from clipspect.frame.spec import ImageSpec
from clipspect.frame.views import Box, View, whole_frame
from clipspect.inspection.merge import merge
from support import handmade


def halves(width: int, height: int) -> tuple[View, ...]:
    """The left and the right half, each of which sees four columns of the other."""
    middle = width // 2
    left, right = Box(0, 0, middle, height), Box(middle, 0, width, height)
    return View(Box(0, 0, middle + 4, height), left), View(Box(middle - 4, 0, width, height), right)


def test_a_frame_without_views_of_its_own_is_one_view_and_costs_no_copy() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)
    ready = prepare(pixels, ImageSpec(16, 20))
    assert ready.views == whole_frame(20, 16)
    assert np.shares_memory(ready.pixels, pixels)


def test_each_view_is_its_rectangle_in_the_models_size() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32, 3), np.uint8)
    ready = prepare(pixels, ImageSpec(16, 20), views=halves)
    assert ready.pixels.shape == (2, 16, 20, 3)
    np.testing.assert_array_equal(ready.pixels[0], pixels[:, :20])
    np.testing.assert_array_equal(ready.pixels[1], pixels[:, 12:])


def test_the_answers_lie_where_their_views_are_placed_and_the_worst_view_scores() -> None:
    maps = np.stack([np.full((16, 20), 0.25, np.float32), np.full((16, 20), 0.75, np.float32)])
    score, merged = merge(np.array([0.3, 0.6], np.float32), maps, halves(32, 16), (32, 16))
    assert score == pytest.approx(0.6)
    expected = np.repeat(np.array([[0.25] * 16 + [0.75] * 16], np.float32), 16, axis=0)
    np.testing.assert_array_equal(merged, expected)


def test_what_no_view_is_placed_on_is_zero() -> None:
    inside = Box(2, 3, 6, 7)
    score, merged = merge(np.ones(1, np.float32), np.ones((1, 4, 4), np.float32), (View(inside, inside),), (10, 10))
    assert (score, merged.sum()) == (1, 16)
    assert merged[3:7, 2:6].all()


def test_one_map_of_the_whole_frame_keeps_its_size_and_not_its_batch() -> None:
    batch = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    _, merged = merge(np.ones(1, np.float32), batch[1:2], whole_frame(80, 60), (80, 60))
    np.testing.assert_array_equal(merged, batch[1])
    assert not np.shares_memory(merged, batch)


def test_frames_of_several_views_go_through_an_inspector_beside_whole_ones(tiny_bundle: Path) -> None:
    picture = handmade.spotted(64, 48)
    with clipspect.load(tiny_bundle) as inspector:
        spec = inspector.bundle.manifest.image
        whole, parts = inspector.prepare(picture), prepare(picture, spec, views=halves)
        results = inspector.score([whole, parts, whole])
        assert results[0].score == results[2].score == inspector.inspect(picture).score
        crops = [view.crop for view in parts.views]
        sides = [inspector.inspect(np.ascontiguousarray(picture[:, crop.left : crop.right])) for crop in crops]
        assert results[1].score == max(side.score for side in sides)
        assert results[1].anomaly_map.shape == picture.shape[:2]
        np.testing.assert_array_equal(results[1].anomaly_map[:, :32], sides[0].anomaly_map[:, :32])
        np.testing.assert_array_equal(results[1].anomaly_map[:, 32:], sides[1].anomaly_map[:, 4:])
        assert inspector.answer([replace(parts, picture=None)])[0].model_map.shape == picture.shape[:2]
