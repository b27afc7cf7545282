"""Tiles cover a frame evenly, in one size, and share what was asked for."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipspect.base.errors import ImageError, RecipeError
from clipspect.frame.tiling import Tiling
from clipspect.frame.viewing import WHOLE, Viewing
from clipspect.frame.views import Box, whole_frame

SIDES = st.integers(60, 6000)


@given(SIDES, SIDES, st.integers(400, 3000), st.integers(400, 3000), st.integers(0, 50))
def test_tiles_of_a_size_cover_the_frame_and_share_at_least_what_was_asked_for(
    width: int, height: int, across: int, down: int, overlap: int
) -> None:
    views = Tiling(size=(across, down), overlap=overlap).views(Box(0, 0, width, height))
    assert {view.crop.size for view in views} == {(min(across, width), min(down, height))}
    assert all(view.crop == view.placement for view in views)
    for length, sides in ((width, {(v.crop.left, v.crop.right) for v in views}),
                          (height, {(v.crop.top, v.crop.bottom) for v in views})):  # fmt: skip
        ordered = sorted(sides)
        assert (ordered[0][0], ordered[-1][1]) == (0, length)
        for (start, end), (following, _) in itertools.pairwise(ordered):
            assert start < following
            assert 100 * (end - following) >= overlap * (end - start)


@given(SIDES, SIDES, st.integers(1, 12), st.integers(1, 12), st.integers(0, 75))
def test_a_grid_has_its_columns_and_rows_and_shares_what_was_asked_for_to_a_pixel(
    width: int, height: int, columns: int, rows: int, overlap: int
) -> None:
    views = Tiling(grid=(columns, rows), overlap=overlap).views(Box(0, 0, width, height))
    assert len(views) == columns * rows
    assert len({view.crop.size for view in views}) == 1
    lefts = sorted({view.crop.left for view in views})
    side = views[0].crop.width
    assert (lefts[0], lefts[-1] + side) == (0, width)
    assert all(side - (after - before) >= overlap * side // 100 for before, after in itertools.pairwise(lefts))


def test_a_grid_without_overlap_whose_sides_divide_the_frame_is_a_partition() -> None:
    views = Tiling(grid=(3, 2), overlap=0).views(Box(10, 20, 40, 40))
    assert [view.crop for view in views] == [
        Box(left, top, left + 10, top + 10) for top in (20, 30) for left in (10, 20, 30)
    ]


def test_a_frame_that_a_tile_covers_has_one_view() -> None:
    assert Tiling(size=(100, 100)).views(Box(0, 0, 80, 60)) == whole_frame(80, 60)
    assert WHOLE.views(80, 60) == whole_frame(80, 60)
    assert Viewing(tiling=Tiling(grid=(1, 1))).views(80, 60) == whole_frame(80, 60)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (Tiling, "either the size of a tile or the grid"),
        (lambda: Tiling((5, 5), (2, 2)), "either the size of a tile or the grid"),
        (lambda: Tiling((0, 5)), "from 1, found 0 x 5"),
        (lambda: Tiling((5, 5), overlap=76), "overlap of 0 to 75 per cent, found 76"),
        (lambda: Tiling(grid=(50, 50)), "more than 1000 tiles"),
    ],
)
def test_a_tiling_that_cannot_be_is_refused(made: object, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        made()  # type: ignore[operator]


def test_a_frame_that_cannot_be_cut_so_is_refused() -> None:
    with pytest.raises(ImageError, match="6000 x 4000 pixels make 162 x 108 tiles of 50 x 50, more than 1000"):
        Tiling(size=(50, 50)).views(Box(0, 0, 6000, 4000))
    with pytest.raises(ImageError, match="a side of 5 pixels is too short for 7 tiles"):
        Tiling(grid=(7, 1)).views(Box(0, 0, 5, 5))
