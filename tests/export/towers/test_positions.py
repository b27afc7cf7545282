from __future__ import annotations

import pytest
import torch

from clipspect.base.errors import ExportError
from clipspect_export.towers.config import Grid, Interpolation
from clipspect_export.towers.positions import at_image_size, of_size, resize_positions
from support.golden_dense import small_clip

BILINEAR = Interpolation("bilinear", antialias=False)


@pytest.mark.parametrize("grid", [Grid(37, 37), Grid(24, 37), Grid(40, 12)])
def test_the_class_tokens_position_stays_and_the_grid_is_resized(grid: Grid) -> None:
    positions = torch.randn(1 + 24**2, 8, generator=torch.Generator().manual_seed(0))
    resized = resize_positions(positions, grid, BILINEAR)
    assert resized.shape == (1 + grid.patches, 8)
    torch.testing.assert_close(resized[0], positions[0])
    expected = torch.nn.functional.interpolate(
        positions[1:].T.reshape(1, 8, 24, 24), size=tuple(grid), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(resized[1:].T.reshape(8, *grid), expected[0])


def test_at_its_own_size_a_backbone_keeps_its_values() -> None:
    clip = small_clip()
    config = of_size(clip.config, clip.config.image_size)
    assert config == clip.config
    tensors = at_image_size(clip.state_dict(), config, BILINEAR)
    assert all(torch.equal(tensors[name], value) for name, value in clip.state_dict().items())


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((518, 518), "518 x 518 pixels does not divide into patches of 8: take --image-size 520x520"),
        ((32, 20), "32 x 20 pixels .* take --image-size 32x16"),
        ((4, 32), "4 x 32 pixels .* take --image-size 8x32"),
    ],
)
def test_an_image_that_does_not_divide_into_patches_is_refused(size: tuple[int, int], message: str) -> None:
    with pytest.raises(ExportError, match=message) as caught:
        of_size(small_clip().config, size)
    assert "\n" not in str(caught.value)
