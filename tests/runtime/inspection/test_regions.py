"""Regions are the connected components that a person with a pencil would find."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clipspect.inspection.regions import Region, component_at, find_regions

Map = npt.NDArray[np.float32]


def flood_fill(anomaly_map: Map, limit: float) -> Iterator[Region]:
    """One region after the other, pixel by pixel."""
    left = {(int(y), int(x)) for y, x in np.argwhere(anomaly_map > limit)}
    while left:
        stack, found = [left.pop()], []
        while stack:
            y, x = stack.pop()
            found.append((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            stack += near
        ys, xs = zip(*found)
        yield Region(
            min(xs),
            min(ys),
            max(xs) - min(xs) + 1,
            max(ys) - min(ys) + 1,
            len(found),
            max(float(anomaly_map[pixel]) for pixel in found),
            (sum(xs) / len(xs), sum(ys) / len(ys)),
        )


def in_order(regions: Iterator[Region]) -> list[Region]:
    return sorted(regions, key=lambda region: (-region.peak, region.y, region.x, region.area))


maps = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14),
    elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
)


@settings(max_examples=500)
@given(maps, st.sampled_from([0.0, 0.3, 0.5, 0.6, 1.0]))
def test_regions_are_those_of_a_flood_fill(anomaly_map: Map, limit: float) -> None:
    found = find_regions(anomaly_map, limit)
    assert [region.peak for region in found] == sorted((region.peak for region in found), reverse=True)
    assert in_order(iter(found)) == in_order(flood_fill(anomaly_map, limit))


@given(maps, st.integers(0, 200))
def test_the_component_at_a_pixel_is_scipys(anomaly_map: Map, which: int) -> None:
    mask = anomaly_map > 0.3
    places = np.argwhere(mask)
    if len(places):
        row, column = (int(at) for at in places[which % len(places)])
        labels, _ = scipy.ndimage.label(mask, np.ones((3, 3)))
        np.testing.assert_array_equal(component_at(mask, row, column), labels == labels[row, column])


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 0.8))
def test_regions_of_noise_are_those_of_a_flood_fill(seed: int, limit: float) -> None:
    anomaly_map = np.random.default_rng(seed).random((60, 70), dtype=np.float32)
    assert in_order(iter(find_regions(anomaly_map, limit))) == in_order(flood_fill(anomaly_map, limit))


def test_a_line_that_winds_through_the_whole_map_is_one_region() -> None:
    winding = np.zeros((41, 30), np.float32)
    winding[::2] = 1
    winding[1::4, -1] = 1
    winding[3::4, 0] = 1
    assert [region.area for region in find_regions(winding, 0.5)] == [21 * 30 + 20]


def test_pixels_that_touch_at_a_corner_are_one_region() -> None:
    assert [region.area for region in find_regions(np.eye(5, dtype=np.float32)[::-1], 0.5)] == [5]


def test_the_end_of_a_row_does_not_touch_the_start_of_the_next() -> None:
    anomaly_map = np.array([[0, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]], np.float32)
    anomaly_map[1, 3] = 0
    wrapped = np.array([[0, 0, 0, 0, 1], [1, 0, 0, 0, 0]], np.float32)
    assert len(find_regions(anomaly_map, 0.5)) == len(find_regions(wrapped, 0.5)) == 2


def test_a_map_at_the_limit_has_no_region() -> None:
    assert find_regions(np.full((5, 5), 0.5, np.float32), 0.5) == ()


def test_a_map_over_the_limit_is_one_region() -> None:
    assert find_regions(np.ones((3, 4), np.float32), 0.5) == (Region(0, 0, 4, 3, 12, 1.0, (1.5, 1.0)),)


def test_a_48_megapixel_map_takes_seconds_not_minutes() -> None:
    anomaly_map = np.zeros((6000, 8000), np.float32)
    anomaly_map[::40, ::2] = 1.0
    anomaly_map[100:3000, 100:3000] = 0.9
    start = time.perf_counter()
    assert len(find_regions(anomaly_map, 0.5)) > 100_000
    assert time.perf_counter() - start < 20
