"""A region of interest says of every pixel whether it is judged, the same in every language."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipspect.base.errors import ImageError, RecipeError
from clipspect.frame.region_of_interest import Area, Polygon, RegionOfInterest, area_of
from clipspect.frame.views import Box

WIDTH, HEIGHT = 13, 9
CORNERS = st.tuples(st.integers(0, WIDTH), st.integers(0, HEIGHT))
POLYGONS = st.lists(CORNERS, min_size=3, max_size=7).map(tuple)
BOW = ((0, 0), (12, 8), (12, 0), (0, 8))


def left_of(polygon: Polygon, column: int, row: int) -> int:
    """How many edges lie left of the pixel's centre, or through it, by fractions."""
    x, y, crossed = Fraction(2 * column + 1, 2), Fraction(2 * row + 1, 2), 0
    for (x1, y1), (x2, y2) in zip(polygon, (*polygon[1:], polygon[0])):
        if min(y1, y2) < y < max(y1, y2):
            crossed += x1 + (y - y1) * Fraction(x2 - x1, y2 - y1) <= x
    return crossed


@given(POLYGONS)
def test_a_pixel_is_in_a_polygon_whose_outline_is_crossed_an_odd_number_of_times(polygon: Polygon) -> None:
    expected = [[left_of(polygon, column, row) % 2 == 1 for column in range(WIDTH)] for row in range(HEIGHT)]
    np.testing.assert_array_equal(Area((polygon,)).mask(WIDTH, HEIGHT), expected)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 2 * np.pi), st.floats(0.2, 1)), min_size=3, max_size=9))
def test_matplotlib_fills_polygons_that_do_not_cross_themselves_alike(spokes: list[tuple[float, float]]) -> None:
    path = pytest.importorskip("matplotlib.path")
    corners = [(round(48 + 47 * r * np.cos(a)), round(32 + 31 * r * np.sin(a))) for a, r in sorted(spokes)]
    polygon = tuple(dict.fromkeys(corners))
    if len(polygon) < 3 or sorted(spokes)[-1][0] - sorted(spokes)[0][0] < np.pi:
        return
    centres = np.stack(np.meshgrid(np.arange(97) + 0.5, np.arange(64) + 0.5), axis=-1).reshape(-1, 2)
    outline = path.Path([*polygon, polygon[0]])
    inside, outside = (outline.contains_points(centres, radius=radius) for radius in (-1e-6, 1e-6))
    found = Area((polygon,)).mask(97, 64).ravel()
    clear = inside == outside  # the sign of a radius depends on the way round
    np.testing.assert_array_equal(found[clear], inside[clear])


def test_what_a_polygon_that_crosses_itself_goes_around_twice_is_outside() -> None:
    star = tuple(
        (round(50 + 48 * np.sin(4 * np.pi * i / 5)), round(50 - 48 * np.cos(4 * np.pi * i / 5))) for i in range(5)
    )
    mask = Area((star,)).mask(100, 100)
    assert not mask[50, 50]
    assert mask[20, 50]
    assert Area((BOW,)).mask(WIDTH, HEIGHT)[:, 6].sum() == 0


@given(st.lists(st.booleans(), min_size=12, max_size=12).map(lambda flat: np.array(flat).reshape(3, 4)))
def test_runs_hold_a_mask_as_it_is(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(area_of(mask).mask(4, 3), mask)


@given(POLYGONS, POLYGONS)
def test_what_is_ignored_is_not_judged_and_all_else_of_the_region_is(one: Polygon, other: Polygon) -> None:
    region = RegionOfInterest((WIDTH, HEIGHT), Area((one,)), Area((other,)))
    inside, ignored = Area((one,)).mask(WIDTH, HEIGHT), Area((other,)).mask(WIDTH, HEIGHT)
    np.testing.assert_array_equal(region.drawn, inside & ~ignored)
    np.testing.assert_array_equal(RegionOfInterest((WIDTH, HEIGHT), ignored=Area((other,))).drawn, ~ignored)


def test_a_frame_twice_as_large_has_each_pixel_four_times() -> None:
    region = RegionOfInterest((WIDTH, HEIGHT), Area((BOW,)))
    np.testing.assert_array_equal(region.mask(2 * WIDTH, 2 * HEIGHT), np.kron(region.drawn, np.ones((2, 2))))
    assert region.mask(2 * WIDTH, 2 * HEIGHT) is region.mask(2 * WIDTH, 2 * HEIGHT)


def test_the_box_is_the_smallest_with_all_judged_pixels() -> None:
    region = RegionOfInterest((20, 10), Area((((3, 2), (7, 2), (7, 6), (3, 6)), ((10, 5), (12, 5), (12, 9), (10, 9)))))
    assert region.box(20, 10) == Box(3, 2, 12, 9)
    assert region.box(40, 20) == Box(6, 4, 24, 18)


def test_threads_may_ask_for_masks_of_parts_that_lie_anyhow_and_few_are_kept() -> None:
    class Quick(RegionOfInterest):
        """Makes masks in no time, so that threads often meet where they are kept."""

        def mask_of_view(self, *_: object) -> np.ndarray:
            return np.zeros((1, 1), bool)

    region = Quick((1, 1))

    def ask(share: int) -> None:
        for right in range(5000):
            region.mask(1, 1, (Fraction(right, share), Fraction(0)))

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(1, 9)))
    finally:
        sys.setswitchinterval(usual)
    assert len(region._masks) <= 4 + 7  # each thread may add one between another's look and its own


def test_a_frame_that_is_too_small_for_the_region_is_refused() -> None:
    region = RegionOfInterest((100, 100), Area((((0, 0), (2, 0), (0, 2)),)))
    with pytest.raises(
        ImageError, match="nothing of it is left in a frame of 10 x 10; it was drawn on one of 100 x 100"
    ):
        region.box(10, 10)


@pytest.mark.parametrize(
    ("size", "area", "message"),
    [
        ((10, 10), Area((((0, 0), (11, 0), (0, 5)),)), "corner 11,0 is outside of the frame of 10 x 10"),
        ((10, 10), Area((((0, 0), (1, -1), (0, 5)),)), "corner 1,-1 is outside"),
        ((10, 10), Area((((0, 0), (1, 1)),)), "a polygon of 2 corners"),
        ((10, 10), Area(runs=(50, 49)), "has not the 100 pixels of a frame of 10 x 10"),
        ((10, 10), Area(runs=(110, -10)), "has not the 100 pixels"),
        ((0, 10), Area(), "no frame has the size 0 x 10"),
        ((100_000, 100_000), Area(), "no frame has the size 100000 x 100000"),
    ],
)
def test_an_area_that_no_frame_has_is_refused(size: tuple[int, int], area: Area, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        RegionOfInterest(size, area)
