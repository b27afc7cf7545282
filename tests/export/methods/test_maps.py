from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from clipspect.base.errors import ExportError
from clipspect_export.methods.eager import gaussian_filter
from clipspect_export.methods.maps import corner_bilinear_matrix, gaussian_matrix, require_sigma

SIDES = st.integers(1, 40)


@given(pixels=SIDES, sigma=st.floats(0, 8))
def test_the_smoothing_matrix_is_scipys_gaussian_filter(pixels: int, sigma: float) -> None:
    values = np.random.default_rng(pixels).random((pixels, pixels))
    matrix = gaussian_matrix(pixels, sigma).numpy()
    expected = ndimage.gaussian_filter(values, sigma) if sigma else values
    np.testing.assert_allclose(matrix @ values @ matrix.T, expected, atol=1e-12)
    np.testing.assert_allclose(gaussian_filter(torch.from_numpy(values), sigma), expected, atol=1e-6)


@given(pixels=SIDES, sigma=st.floats(0, 8))
def test_smoothing_leaves_a_constant_map_as_it_is(pixels: int, sigma: float) -> None:
    torch.testing.assert_close(gaussian_matrix(pixels, sigma).sum(dim=1), torch.ones(pixels, dtype=torch.float64))


@given(pixels=SIDES, grid=st.integers(1, 8))
def test_the_corner_aligned_matrix_is_torchs_interpolation(pixels: int, grid: int) -> None:
    values = torch.rand(1, 1, grid, grid, generator=torch.Generator().manual_seed(grid))
    expected = torch.nn.functional.interpolate(values, size=(pixels, pixels), mode="bilinear", align_corners=True)
    matrix = corner_bilinear_matrix(pixels, grid)
    torch.testing.assert_close(matrix @ values @ matrix.T, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sigma", [-1, 519, float("nan"), float("inf")])
def test_a_sigma_that_is_no_smoothing_is_refused(sigma: float) -> None:
    with pytest.raises(ExportError, match=r"expected 0 \(no smoothing\) up to the image's 518 pixels"):
        require_sigma(sigma, 518)
