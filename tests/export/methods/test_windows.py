from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clipspect.base.errors import ExportError
from clipspect_export.methods.maps import bilinear_matrix
from clipspect_export.methods.winclip.reference import covered_patches, harmonic_mean_over_windows
from clipspect_export.methods.winclip.windows import (
    class_places,
    groups,
    packed_tokens,
    require_scales,
    side_mean_matrix,
)
from clipspect_export.towers.config import Grid

GRIDS = st.integers(1, 8)


@st.composite
def grid_and_scales(draw: st.DrawFn) -> tuple[Grid, list[int]]:
    grid = Grid(draw(GRIDS), draw(GRIDS))
    return grid, draw(st.lists(st.integers(1, min(grid)), min_size=1, max_size=3, unique=True))


@given(pixels=st.integers(1, 64), grid=GRIDS)
def test_the_upsampling_matrix_is_torchs_bilinear_interpolation(pixels: int, grid: int) -> None:
    values = torch.rand(1, 1, grid, grid, generator=torch.Generator().manual_seed(grid))
    expected = torch.nn.functional.interpolate(values, size=(pixels, pixels), mode="bilinear", align_corners=False)
    matrix = bilinear_matrix(pixels, grid)
    torch.testing.assert_close((matrix @ values @ matrix.T), expected, atol=1e-5, rtol=0)


@given(grid_and_scales())
def test_means_along_both_sides_are_the_mean_over_the_windows_that_cover_a_patch(case: tuple[Grid, list[int]]) -> None:
    grid, scales = case
    for scale in scales:
        shape = [side - scale + 1 for side in grid]
        values = torch.rand(2, *shape, generator=torch.Generator().manual_seed(grid.patches)) * 0.9 + 0.05
        down, across = (side_mean_matrix(side, scale) for side in grid)
        expected = harmonic_mean_over_windows(values.flatten(1), grid, scale)
        torch.testing.assert_close(1 / (down @ (1 / values) @ across.T), expected, atol=1e-5, rtol=1e-5)


@given(grid_and_scales())
def test_every_group_is_its_class_token_and_its_windows_patches(case: tuple[Grid, list[int]]) -> None:
    grid, scales = case
    tokens, layout = packed_tokens(grid, scales), groups(grid, scales)
    assert len(tokens) == sum(group.tokens for group in layout)
    assert tokens[class_places(layout)].tolist() == [0] * sum(group.count for group in layout)
    windows = [[0, *range(1, grid.patches + 1)]]
    windows += [[0] + [patch + 1 for patch in patches] for scale in scales for patches in covered_patches(grid, scale)]
    assert tokens.tolist() == [token for window in windows for token in window]


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ((), "no scales"),
        ((2, 16), "scale 16 does not fit"),
        ((0,), "scale 0 does not fit"),
        ((2, 2), "stands there twice"),
    ],
)
def test_scales_that_the_grid_cannot_have_are_refused(scales: tuple[int, ...], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        require_scales(scales, Grid(15, 15))
