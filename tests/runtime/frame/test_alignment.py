"""A part that shifts is found where it lies, or not at all: never in another place."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
import scipy.fft
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from clipspect.base.errors import RecipeError
from clipspect.frame.alignment import (
    Alignment,
    alignment_to,
    cells_of,
    correlation_surface,
    locate,
    most_alike,
    small_grey,
)
from clipspect.frame.judged_area import JudgedArea, judged_area
from clipspect.frame.region_of_interest import Area, RegionOfInterest
from clipspect.frame.views import Box

SIDE = 240  # of the model's input: cells are of two pixels
PART = 90
CELLS = (30, 30)  # that a part may lie off: 60 pixels
PIXELS = npt.NDArray[np.uint8]


def part(seed: int, texture: float) -> npt.NDArray[np.float64]:
    """A disc with a hole and a texture; NaN around it."""
    y, x = np.mgrid[:PART, :PART] - PART / 2
    drawn = scipy.ndimage.uniform_filter(np.random.default_rng(seed).normal(size=(PART, PART)), 7)
    values = 150 + texture * drawn / drawn.std()
    values[(x + 9) ** 2 + y**2 < (PART * 0.15) ** 2] -= 70
    return np.where(x**2 + y**2 < (PART * 0.45) ** 2, values, np.nan)


def scene(seed: int, shift: tuple[int, int], texture: float, background: float, *, there: bool = True) -> PIXELS:
    """The part before a background that stays, with noise and a lamp that grows dim."""
    drawn = scipy.ndimage.uniform_filter(np.random.default_rng(7).normal(size=(SIDE, SIDE)), 5)
    values = 60 + background * drawn / drawn.std()
    if there:
        left, top = (SIDE - PART) // 2 + shift[0], (SIDE - PART) // 2 + shift[1]
        shown = part(3, texture)
        place = values[top : top + PART, left : left + PART]
        place[~np.isnan(shown)] = shown[~np.isnan(shown)]
    rng = np.random.default_rng(seed)
    seen = values * rng.uniform(0.8, 1) + rng.normal(scale=4, size=values.shape)
    return np.repeat(np.clip(seen, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def region(texture: float, background: float) -> RegionOfInterest:
    """Around the part, aligned."""
    square = tuple((x, y) for x, y in ((70, 70), (170, 70), (170, 170), (70, 170)))
    known = alignment_to(scene(0, (0, 0), texture, background), CELLS)
    return RegionOfInterest((SIDE, SIDE), Area((square,)), alignment=known)


def found(frame: PIXELS, wanted: RegionOfInterest) -> JudgedArea:
    return judged_area(wanted, (SIDE, SIDE), Box(0, 0, SIDE, SIDE), frame)


@settings(max_examples=25)
@given(
    st.integers(-74, 74),
    st.integers(-74, 74),
    st.sampled_from([0, 8]),
    st.sampled_from([0, 20]),
    st.integers(1, 1000),
)
def test_the_region_follows_a_part_within_reach_and_is_refused_beyond(
    right: int, down: int, texture: float, background: float, seed: int
) -> None:
    area = found(scene(seed, (right, down), texture, background), region(texture, background))
    if max(abs(right), abs(down)) > 2 * (CELLS[0] + 1):
        assert "pixels off" in area.fault or "not found" in area.fault
    elif max(abs(right), abs(down)) < 2 * (CELLS[0] - 1):
        assert area.fault == ""
        off = area.shift[0] * SIDE - right, area.shift[1] * SIDE - down
        assert max(map(abs, off)) <= 2
        np.testing.assert_array_equal(
            area.mask(SIDE, SIDE),
            np.roll(area.region.drawn, (int(area.shift[1] * SIDE), int(area.shift[0] * SIDE)), axis=(0, 1)),
        )


def test_a_part_that_is_not_there_is_not_found() -> None:
    for seed in range(10):
        area = found(scene(seed, (0, 0), 8, 20, there=False), region(8, 20))
        assert "the part is not found: what is most like it has a correlation of" in area.fault
        assert not area.mask(SIDE, SIDE).any()


def test_a_part_that_looks_alike_in_several_places_is_refused() -> None:
    stripes = np.repeat((np.arange(SIDE) % 12 < 6)[None, :, None] * np.uint8(180), SIDE, axis=0).repeat(3, axis=2)
    wanted = RegionOfInterest((SIDE, SIDE), Area((((60, 60), (180, 60), (180, 180), (60, 180)),)))
    aligned = dataclasses.replace(wanted, alignment=alignment_to(stripes, CELLS))
    assert "several places" in found(np.roll(stripes, 5, axis=1), aligned).fault


def moved_texture(
    seed: int, corner: tuple[int, int], side: int
) -> tuple[PIXELS, PIXELS, npt.NDArray[np.bool_], tuple[int, int]]:
    """A textured reference, the same moved by some cells with noise, a square of it that is judged, and the shift."""
    rng = np.random.default_rng(seed)
    drawn = scipy.ndimage.gaussian_filter(rng.normal(size=(200, 200)), 1.5)
    levels = np.clip(128 + 45 * drawn / drawn.std(), 0, 255)
    right, down = rng.integers(-4, 5, 2)
    frame = levels[36 - down : 164 - down, 36 - right : 164 - right] + rng.normal(0, 4, (128, 128))
    judged = np.zeros((128, 128), bool)
    judged[corner[1] : corner[1] + side, corner[0] : corner[0] + side] = True
    seen, known = np.clip(frame, 0, 255).astype(np.uint8), levels[36:164, 36:164].astype(np.uint8)
    return seen, known, judged, (int(right), int(down))


@pytest.mark.parametrize("corner", [(50, 50), (5, 5), (5, 50)])
def test_a_small_region_is_found_wherever_in_the_frame_it_was_drawn(corner: tuple[int, int]) -> None:
    for seed in range(12):
        frame, known, judged, shift = moved_texture(seed, corner, 16)
        place = locate(frame, known, judged, (10, 10))
        assert (place.fault, place.shift) == ("", shift)


def test_of_all_places_in_the_frame_the_most_alike_is_that_of_plain_correlations() -> None:
    frame, known, judged, shift = moved_texture(3, (8, 60), 9)
    frame[20:40, 30:70] = 90  # of one level, where no correlation is
    rows, columns = np.nonzero(judged)
    wanted = known[judged] - known[judged].mean()
    best, expected = -2.0, (0, 0)
    for down in range(-60, 128 - 68):
        for right in range(-8, 128 - 16):
            seen = frame[rows + down, columns + right].astype(float)
            if seen.std() > 0 and (value := float(np.corrcoef(seen, wanted)[0, 1])) > best:
                best, expected = value, (right, down)
    assert most_alike(frame, known, judged) == expected == shift
    assert most_alike(frame, known, np.zeros_like(judged)) == (0, 0)


def test_a_part_whose_region_leaves_the_frame_is_refused() -> None:
    wide = ((70, 70), (239, 70), (239, 170), (70, 170))
    wanted = dataclasses.replace(region(8, 20), judged=Area((wide,)))
    assert found(scene(1, (-20, 0), 8, 20), wanted).fault == ""
    assert "where the region leaves the frame" in found(scene(1, (20, 0), 8, 20), wanted).fault


def test_a_larger_frame_takes_its_region_along_as_far() -> None:
    area = judged_area(region(8, 20), (480, 480), Box(0, 0, 480, 480), scene(1, (30, -14), 8, 20))
    rows, columns = np.nonzero(area.mask(480, 480))
    assert (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1) == (200, 400, 112, 312)


def test_scipy_finds_the_same_peak() -> None:
    wanted = region(8, 20)
    judged = cells_of(wanted.mask(SIDE, SIDE))
    frame, known = small_grey(scene(1, (24, -10), 8, 20)), small_grey(scene(0, (0, 0), 8, 20))
    surface = correlation_surface(frame, known, judged)
    impulse = np.zeros(surface.shape)
    impulse[0, 0] = 1
    expected = scipy.fft.ifft2(scipy.ndimage.fourier_shift(scipy.fft.fft2(impulse), (-5, 12))).real
    assert np.argmax(surface) == np.argmax(expected)
    assert locate(frame, known, judged, CELLS).shift == (12, -5)
    moved = scipy.ndimage.shift(frame.astype(float), (5, -12), order=0)
    likeness = np.corrcoef(moved[judged], known[judged].astype(float))[0, 1]
    assert locate(frame, known, judged, CELLS).likeness == pytest.approx(likeness, abs=1e-9)


def test_an_alignment_that_has_no_picture_is_refused() -> None:
    for picture in ("AAAA", "no base64!", "é" * 36):
        with pytest.raises(RecipeError, match="alignment"):
            Alignment((5, 5), picture, (1, 1))
    for reach in ((-1, 1), (1, 129), (2**70, 1)):  # a file says numbers of at most 64 bits
        with pytest.raises(RecipeError, match="cannot reach"):
            Alignment((1, 3), "AAAA", reach)
