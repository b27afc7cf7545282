"""The model's input: the published methods' squash, to the last bit, whatever the frame came as."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clipspect.frame.decode import FrameLike, Picture, decode, read
from clipspect.frame.prepare import prepare
from clipspect.frame.resize import to_model_size
from clipspect.frame.spec import ImageSpec


@pytest.mark.parametrize("size", [(1, 1), (8000, 6000), (1, 5000)])
def test_images_of_any_size_reach_the_models_size(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("L", size, 77).save(tmp_path / "a.png")
    model = to_model_size(decode(tmp_path / "a.png"), ImageSpec(24, 32))
    assert model.shape == (24, 32, 3)
    assert (model == 77).all()


def squashed(image: Image.Image, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Pillow's columns, then Pillow's rows."""
    columns = image.resize((width, image.height), Image.Resampling.BICUBIC)
    return np.asarray(columns.resize((width, height), Image.Resampling.BICUBIC))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_the_models_input_is_pils_bicubic_squash(height: int, width: int, seed: int) -> None:
    array = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    found = to_model_size(decode(array), ImageSpec(16, 20))
    np.testing.assert_array_equal(found, squashed(Image.fromarray(array), 20, 16))


@pytest.mark.parametrize("size", [(1280, 1024), (640, 480), (301, 300), (240, 240), (100, 90), (240, 241)])
def test_pictures_that_are_not_tall_are_squashed_as_by_one_call_of_pil(size: tuple[int, int]) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8))
    expected = np.asarray(image.resize((240, 240), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(to_model_size(image, ImageSpec(240, 240)), expected)


def test_a_line_of_pixels_is_squashed_in_little_memory() -> None:
    line = np.repeat(np.array([0, 255], np.uint8), 1_000_000)[:, None]
    model = to_model_size(line, ImageSpec(24, 240))
    assert model[:10].max() <= 1
    assert model[14:].min() >= 254


@pytest.mark.parametrize("parts", [2, 3, 4])
@pytest.mark.parametrize("size", [(1280, 1024), (20, 20_001), (641, 2), (700_000, 1)])
def test_several_hands_squash_to_the_same_pixels(size: tuple[int, int], parts: int) -> None:
    width, height = size
    colour = np.random.default_rng(parts).integers(0, 256, (height, width, 3), np.uint8)
    spec = ImageSpec(48, 64)
    pictures: list[Picture] = [colour, colour[..., ::-1], colour[::-1, ::2], colour[..., 1], Image.fromarray(colour)]
    with ThreadPoolExecutor(parts) as pool:
        for picture in pictures:
            rgb = decode(picture)
            expected = squashed(rgb, 64, 48)
            np.testing.assert_array_equal(to_model_size(picture, spec, pool, parts), expected)
            np.testing.assert_array_equal(to_model_size(rgb, spec), expected)


def test_a_grey_picture_is_squashed_as_its_rgb(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (70, 50), np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    expected = Image.fromarray(np.stack([grey] * 3, axis=-1)).resize((20, 16), Image.Resampling.BICUBIC)
    frames: list[FrameLike] = [grey, Image.fromarray(grey), tmp_path / "a.png"]
    for frame in frames:
        np.testing.assert_array_equal(to_model_size(read(frame), ImageSpec(16, 20)), np.asarray(expected))


def test_a_frame_of_the_models_size_is_scored_without_a_copy() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)
    ready = prepare(frame, ImageSpec(16, 20))
    assert np.shares_memory(ready.pixels, frame)
    np.testing.assert_array_equal(ready.pixels, frame[None])


@pytest.mark.parametrize("view", ["bgr", "every other column", "upside down"])
def test_a_view_of_the_models_size_reaches_the_engine_in_order(view: str) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (16, 40, 3), np.uint8)
    array = {"bgr": frame[:, :20, ::-1], "every other column": frame[:, ::2], "upside down": frame[::-1, :20]}[view]
    ready = prepare(array, ImageSpec(16, 20))
    assert ready.pixels.flags.c_contiguous
    np.testing.assert_array_equal(ready.pixels, array[None])
