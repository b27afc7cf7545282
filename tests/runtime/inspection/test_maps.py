"""The map in the source image's size: PIL's values, whole or in part."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipspect.frame.views import Box
from clipspect.inspection.maps import box_over, enlarge, peak_in_source, to_source_size
from clipspect.inspection.regions import find_regions, regions_in_source

Map = npt.NDArray[np.float32]
SIDES = st.integers(1, 24)
SOURCE_SIDES = st.integers(1, 70)
SEEDS = st.integers(0, 2**32 - 1)


def noise(rows: int, columns: int, seed: int) -> Map:
    """Values with ties: limits are then often met exactly."""
    return np.random.default_rng(seed).integers(0, 8, (rows, columns)).astype(np.float32) / 7


def smooth(rows: int, columns: int, seed: int) -> Map:
    """As a model's map is, which was enlarged itself."""
    return to_source_size(np.random.default_rng(seed).standard_normal((3, 3)).astype(np.float32), columns, rows)


def by_pil(anomaly_map: Map, width: int, height: int) -> Map:
    resized = np.asarray(Image.fromarray(anomaly_map).resize((width, height), Image.Resampling.BILINEAR))
    return np.clip(resized, anomaly_map.min(), anomaly_map.max())


@given(SIDES, SIDES, SOURCE_SIDES, SOURCE_SIDES, SEEDS)
def test_a_map_in_the_sources_size_is_pils_bilinear_within_the_maps_range(
    rows: int, columns: int, width: int, height: int, seed: int
) -> None:
    anomaly_map = np.random.default_rng(seed).random((rows, columns), dtype=np.float32)
    resized = to_source_size(anomaly_map, width, height)
    assert resized.shape == (height, width)
    assert resized.dtype == np.float32
    # one unit in the last place: on some processors Pillow is compiled with fused multiply-adds
    np.testing.assert_allclose(resized, by_pil(anomaly_map, width, height), rtol=0, atol=1.2e-7)
    assert anomaly_map.min() <= resized.min() <= resized.max() <= anomaly_map.max()


def test_a_frame_of_a_camera_gets_pils_map() -> None:
    anomaly_map = np.random.default_rng(0).random((240, 240), dtype=np.float32)
    np.testing.assert_allclose(
        to_source_size(anomaly_map, 1280, 1024), by_pil(anomaly_map, 1280, 1024), rtol=0, atol=1.2e-7
    )


def test_a_map_of_the_sources_size_is_not_copied() -> None:
    anomaly_map = np.random.default_rng(0).random((7, 9), dtype=np.float32)
    assert np.shares_memory(to_source_size(anomaly_map, 9, 7), anomaly_map)
    np.testing.assert_array_equal(to_source_size(anomaly_map, 9, 7), anomaly_map)


@given(SIDES, SIDES, SOURCE_SIDES, SOURCE_SIDES, SEEDS, st.data())
def test_a_part_of_the_map_is_that_part_of_the_whole(
    rows: int, columns: int, width: int, height: int, seed: int, data: st.DataObject
) -> None:
    anomaly_map = noise(rows, columns, seed)
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    part = enlarge(anomaly_map, width, height, Box(left, top, right, bottom))
    np.testing.assert_array_equal(part, to_source_size(anomaly_map, width, height)[top:bottom, left:right])


@settings(max_examples=300)
@given(SIDES, SIDES, SOURCE_SIDES, SOURCE_SIDES, SEEDS, st.integers(-1, 8))
def test_regions_of_the_model_map_are_those_of_the_map_in_the_sources_size(
    rows: int, columns: int, width: int, height: int, seed: int, sevenths: int
) -> None:
    anomaly_map, limit = noise(rows, columns, seed), float(np.float32(sevenths) / np.float32(7))
    whole = find_regions(to_source_size(anomaly_map, width, height), limit)
    assert regions_in_source(anomaly_map, width, height, limit) == whole


@settings(max_examples=300)
@given(SIDES, SIDES, SOURCE_SIDES, SOURCE_SIDES, SEEDS, st.sampled_from([noise, lambda *given: -noise(*given), smooth]))
def test_the_peak_is_the_largest_value_of_the_map_in_the_sources_size(
    rows: int, columns: int, width: int, height: int, seed: int, draw: Callable[[int, int, int], Map]
) -> None:
    anomaly_map = draw(rows, columns, seed)
    assert peak_in_source(anomaly_map, width, height) == to_source_size(anomaly_map, width, height).max()


def test_a_small_spot_is_looked_for_in_a_small_box() -> None:
    anomaly_map = np.zeros((24, 24), np.float32)
    anomaly_map[6, 12] = 1
    box = box_over(anomaly_map, 240, 480, 0.5)
    assert box is not None
    assert (box.right - box.left, box.bottom - box.top) == (20, 40)
    assert box_over(anomaly_map, 240, 480, 1.0) is None
