from __future__ import annotations

import pytest
import torch

from clipspect.base.errors import ExportError
from clipspect_export.towers.config import Interpolation
from clipspect_export.towers.positions import at_image_size, resize_positions
from support.golden_dense import small_clip

BILINEAR = Interpolation("bilinear", antialias=False)


def test_the_class_tokens_position_stays_and_the_grid_grows() -> None:
    positions = torch.randn(1 + 24**2, 8, generator=torch.Generator().manual_seed(0))
    resized = resize_positions(positions, 37, BILINEAR)
    assert resized.shape == (1 + 37**2, 8)
    torch.testing.assert_close(resized[0], positions[0])
    corner = positions[1]
    torch.testing.assert_close(resized[1], corner, msg="beyond the outermost centres the edge is repeated")


def test_at_its_own_size_a_backbone_keeps_its_values() -> None:
    clip = small_clip()
    tensors, config = at_image_size(clip.state_dict(), clip.config, clip.config.image_size, BILINEAR)
    assert config == clip.config
    assert all(torch.equal(tensors[name], value) for name, value in clip.state_dict().items())


def test_an_image_that_does_not_divide_into_patches_is_refused() -> None:
    clip = small_clip()
    with pytest.raises(ExportError, match="518 pixels does not divide into patches of 8; expected a backbone"):
        at_image_size(clip.state_dict(), clip.config, 518, BILINEAR)
