from __future__ import annotations

import numpy as np
import pytest

from demo import blemishes, defects, medleys, surfaces
from demo.fields import SIZE
from demo.pool import draw_pair

FAMILIES = surfaces.TRAIN | medleys.TRAIN | surfaces.HELD_OUT
KINDS = defects.TRAIN | blemishes.TRAIN | defects.HELD_OUT


def test_what_is_held_out_is_not_trained_on() -> None:
    assert not set(surfaces.TRAIN) & set(surfaces.HELD_OUT)
    assert not set(defects.TRAIN) & set(defects.HELD_OUT)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_draws_a_picture_and_the_same_one_for_the_same_seed(family: str) -> None:
    first, second = (FAMILIES[family](np.random.default_rng(3)).image for _ in range(2))
    assert first.shape == (SIZE, SIZE, 3)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert first.std() > 0.005
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", KINDS)
def test_a_defect_changes_the_part_inside_its_mask_and_hardly_outside(kind: str) -> None:
    rng = np.random.default_rng(5)
    families = {"pills": surfaces.TRAIN["pills"]}
    pair = draw_pair(rng, families, {kind: KINDS[kind]}, surfaces.TRAIN)
    change = np.abs(pair.good.astype(int) - pair.bad.astype(int)).max(-1)
    assert (pair.family, pair.defect) == ("pills", kind)
    assert pair.mask.sum() >= defects.MIN_PIXELS
    assert change[pair.mask].mean() > 20
    assert change[~pair.mask].mean() < 3
