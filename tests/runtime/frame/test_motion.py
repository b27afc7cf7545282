"""Global motion: the shift between two pictures, as a whole or not at all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import shift as shifted

from clipspect.frame.motion import shift_of

RNG = np.random.default_rng(5)
SCENE = np.asarray(
    Image.fromarray(RNG.integers(0, 256, (50, 70, 3), np.uint8)).resize((420, 300), Image.Resampling.BICUBIC)
)


def seen(left: int, top: int, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    part = SCENE[top : top + 180, left : left + 240].astype(np.float64)
    noisy = part + np.random.default_rng(seed).normal(0, noise, part.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


@given(st.integers(-50, 50), st.integers(-40, 40), st.sampled_from([0.0, 15.0]))
@settings(max_examples=30, deadline=None)
def test_a_moved_picture_is_found_moved_to_a_pixel(right: int, down: int, noise: float) -> None:
    found = shift_of(seen(80, 60, noise, 1), seen(80 - right, 60 - down, noise, 2))
    assert found is not None
    assert found == pytest.approx((right, down), abs=1.0)


def test_a_part_of_a_pixel_is_told() -> None:
    before = seen(80, 60)[::2, ::2]  # 120 pixels wide: cells are pixels
    moved = [shifted(before[..., channel].astype(float), (0, 0.5), mode="nearest") for channel in range(3)]
    after = np.stack(moved, axis=-1)
    found = shift_of(before, after.astype(np.uint8))
    assert found is not None
    assert 0.2 < found[0] < 0.8
    assert abs(found[1]) < 0.1


def test_pictures_that_have_nothing_in_common_have_no_shift() -> None:
    noise = [np.random.default_rng(seed).integers(0, 256, (120, 120, 3), np.uint8) for seed in range(6)]
    assert [shift_of(*pair) for pair in itertools.pairwise(noise)] == [None] * 5
    plain = np.full((120, 120, 3), 9, np.uint8)
    assert shift_of(plain, plain) is None
