"""Rotated references are what OpenCV 4.10 made of them, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clipspect.frame.spec import ImageSpec
from clipspect.recipes.references import read_references
from clipspect.recipes.rotations import STEPS, turned

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "anomalydino_tiny.npz"


def test_the_turns_of_a_photo_are_those_of_the_official_code() -> None:
    golden = np.load(GOLDEN)
    found = np.stack([turned(golden["references"][0], step) for step in range(STEPS)])
    np.testing.assert_array_equal(found[:, ::7, ::7], golden["reference0_rotated"])


def test_a_half_turn_about_the_corner_of_the_middle_pixels_moves_by_one() -> None:
    """About (W / 2, H / 2), which is not the middle pixel: the mirrored photo comes back, one row and column later."""
    photo = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(turned(photo, 4)[1:, 1:], photo[1:, 1:][::-1, ::-1])
    assert turned(photo, 0) is photo


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1)])
def test_a_photo_of_one_row_or_column_can_be_turned(size: tuple[int, int]) -> None:
    photo = np.full((*size, 3), 7, np.uint8)
    views = [turned(photo, step) for step in range(STEPS)]
    assert all((view == 7).all() and view.shape == photo.shape for view in views)


def test_references_with_rotations_are_turned_before_they_are_squashed_and_belong_to_their_photo() -> None:
    photos = [np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8) for seed in range(2)]
    found = read_references(photos, ImageSpec(32, 32), rotations=True)
    assert found is not None
    assert (len(found), found.owners) == (2 * STEPS, (0,) * STEPS + (1,) * STEPS)
    plain = read_references([turned(photos[1], 3)], ImageSpec(32, 32))
    assert plain is not None
    np.testing.assert_array_equal(found[STEPS + 3], plain[0])
    assert list(plain.owners) == [0]
