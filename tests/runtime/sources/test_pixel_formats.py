"""Pixel formats of industrial cameras, against their definitions bit by bit, and against SciPy's convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from clipspect.base.errors import ImageError
from clipspect.sources.pixel_formats import FORMATS, PixelFormat, demosaic, known_format, pixels_from

BY_NAME = {form.name: form for form in FORMATS.values()}


def packed(values: Any, form: PixelFormat) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A buffer of those values (n,), as the standard defines it, in plain Python."""
    if form.packing == "bytes":
        return np.array(values, np.uint8)
    if form.packing == "words":
        return np.array(values, "<u2").view(np.uint8)
    if form.packing == "p":  # a stream of bits, the lowest first
        bits = [int(value) >> bit & 1 for value in values for bit in range(form.bits)]
        bits += [0] * (-len(bits) % 8)
        return np.packbits(np.array(bits, np.uint8), bitorder="little")
    out, low = [], form.bits - 8
    for one, other in zip(values[::2], [*values[1::2], 0]):
        mask = (1 << low) - 1
        out += [int(one) >> low, int(one) & mask | (int(other) & mask) << 4, int(other) >> low]
    return np.array(out, np.uint8)


@given(
    name=st.sampled_from(sorted(name for name in BY_NAME if name.startswith("Mono"))),
    width=st.integers(1, 9),
    height=st.integers(1, 5),
    padding=st.integers(0, 5),
    seed=st.integers(0, 99),
)
def test_grey_of_every_depth_and_packing_is_scaled_from_its_full_range(
    name: str, width: int, height: int, padding: int, seed: int
) -> None:
    form = BY_NAME[name]
    scale = (1 << form.bits) - 1
    values = np.random.default_rng(seed).integers(0, scale, (height, width), endpoint=True)
    expected = np.floor(values * 255 / scale + 0.5)
    if padding and form.packing in {"words", "bytes"}:
        rows = [np.concatenate([packed(row, form), np.zeros(padding, np.uint8)]) for row in values]
        data = np.concatenate(rows)[: -padding or None]
    else:
        padding, data = 0, packed(values.reshape(-1), form)
    np.testing.assert_array_equal(pixels_from(data, (width, height), form, padding), expected)


@pytest.mark.parametrize("name", ["RGB8", "BGR8"])
def test_colours_come_as_rgb(name: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    stored = picture[..., ::-1] if name == "BGR8" else picture
    np.testing.assert_array_equal(pixels_from(stored.reshape(-1), (5, 3), BY_NAME[name]), picture)


@pytest.mark.parametrize("tiles", ["RG", "GR", "GB", "BG"])
@pytest.mark.parametrize("size", [(8, 6), (7, 5), (2, 2), (9, 2)])
def test_a_mosaic_is_interpolated_as_by_scipys_convolution(tiles: str, size: tuple[int, int]) -> None:
    width, height = size
    mosaic = np.random.default_rng(1).integers(0, 256, (height, width), np.uint8)
    order = tiles + {"RG": "GB", "GR": "BG", "GB": "RG", "BG": "GR"}[tiles]
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    box = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    for channel, colour in enumerate("RGB"):
        sparse = np.zeros((height, width))
        for place, here in enumerate(order):
            if here == colour:
                rows, columns = slice(place // 2, None, 2), slice(place % 2, None, 2)
                sparse[rows, columns] = mosaic[rows, columns]
        expected = ndimage.convolve(sparse, cross if colour == "G" else box, mode="mirror")
        found = demosaic(mosaic, tiles)[..., channel].astype(float)
        assert np.abs(found - expected).max() <= 0.5


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_uniform_grey_stays_that_grey_in_every_format(name: str) -> None:
    form = BY_NAME[name]
    channels = 3 if form.colour in {"RGB", "BGR"} else 1
    value = round(0.5 * ((1 << form.bits) - 1))
    picture = pixels_from(packed([value] * (6 * 4 * channels), form), (6, 4), form)
    assert picture.shape == ((4, 6) if form.colour == "grey" else (4, 6, 3))
    assert np.abs(picture.astype(int) - 127.5).max() <= 1


def test_what_is_not_read_is_refused_by_its_name_and_a_buffer_too_small_by_its_size() -> None:
    with pytest.raises(ImageError, match=r"cam: pixels of the format YUV422_8 \(0x02100032\) are not read: set"):
        known_format(0x02100032, "YUV422_8", "cam")
    with pytest.raises(ImageError, match="a buffer of 3 bytes: expected 4 of Mono8"):
        pixels_from(np.zeros(3, np.uint8), (2, 2), BY_NAME["Mono8"])
