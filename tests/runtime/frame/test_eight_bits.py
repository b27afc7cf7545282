"""Pixels of every depth: shown right, or refused with the reason. Files are written by the formats' rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipspect.base.errors import ImageError
from clipspect.frame.decode import decode, read
from support.measured import run_code
from support.raw_images import png, tiff

DEEP = np.array([[0, 1000, 30000, 65535]], np.uint16)


def grey(path: Path) -> list[int]:
    return np.asarray(decode(path))[0, :, 0].tolist()


def refusal(path: Path) -> str:
    with pytest.raises(ImageError, match=r"^[^\n]+$") as caught:
        read(path)
    return str(caught.value)


def test_twelve_bits_reach_white_in_pgm_and_in_packed_and_unpacked_tiff(tmp_path: Path) -> None:
    twelve = np.array([[0, 16, 2048, 4095]], np.uint16)
    (tmp_path / "a.pgm").write_bytes(b"P5 4 1 4095\n" + twelve.astype(">u2").tobytes())
    files = [
        tmp_path / "a.pgm",
        tiff(tmp_path / "packed.tif", twelve, {}, bits=12),
        tiff(tmp_path / "said.tif", twelve, {281: 4095}),
    ]
    assert [grey(file) for file in files] == [[0, 1, 128, 255]] * 3


def test_a_largest_value_that_is_no_full_scale_is_refused_and_so_are_values_beyond_it(tmp_path: Path) -> None:
    reason = refusal(tiff(tmp_path / "own.tif", DEEP, {281: 3127}))
    assert "own.tif: TIFF's MaxSampleValue is 3127, which is no full scale" in reason
    assert "pixels from 0 to 65535 are beyond 0 to 4095" in refusal(tiff(tmp_path / "over.tif", DEEP, {281: 4095}))


def test_grey_whose_zero_is_white_is_turned_round(tmp_path: Path) -> None:
    assert grey(tiff(tmp_path / "deep.tif", DEEP, {262: 0})) == [255, 251, 138, 0]
    assert grey(tiff(tmp_path / "plain.tif", np.array([[0, 4, 255]]), {262: 0}, bits=8)) == [255, 251, 0]


def test_signed_grey_is_refused(tmp_path: Path) -> None:
    reason = refusal(tiff(tmp_path / "a.tif", np.array([[-5, 5]], np.int16), {339: 2}))
    assert "a.tif: signed pixels have no known range" in reason


@pytest.mark.parametrize(
    ("depth", "colour", "row", "transparent", "shown"),
    [
        (16, 0, [1000, 30000, 1001], (1000,), [255, 117, 4]),
        (8, 0, [10, 20], (10,), [255, 20]),
        (4, 0, [3, 15, 5], (3,), [255, 255, 85]),
        (1, 0, [0, 1], (0,), [255, 255]),
        (8, 2, [9, 9, 9, 9, 9, 8], (9, 9, 9), [255, 9]),
    ],
)
def test_a_transparent_colour_shows_white_at_every_depth(
    tmp_path: Path, depth: int, colour: int, row: list[int], transparent: tuple[int, ...], shown: list[int]
) -> None:
    samples = np.array([row]) if colour == 0 else np.array(row).reshape(1, -1, 3)
    assert grey(png(tmp_path / "a.png", samples, depth, colour, transparent)) == shown


def test_a_transparent_colour_that_eight_bits_lose_is_refused(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", np.array([[[1000, 1000, 1000]]]), 16, 2, (1000, 1000, 1000))
    assert "a.png: a transparent colour of 16 bits is lost in 8" in refusal(path)


def test_a_wholly_transparent_image_is_refused_instead_of_being_a_white_one(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (200, 0, 0, 0)).save(tmp_path / "a.png")
    assert "a.png: every pixel is wholly transparent" in refusal(tmp_path / "a.png")
    Image.new("RGBA", (4, 4), (200, 0, 0, 1)).save(tmp_path / "b.png")
    assert grey(tmp_path / "b.png") == [255] * 4


@pytest.mark.slow  # 80 million pixels take seconds
@pytest.mark.parametrize("mode", ["I;16", "RGBA"])
def test_the_largest_image_of_a_deep_mode_takes_less_than_a_gigabyte(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (10_000, 8_000), 1000 if mode == "I;16" else (1, 2, 3, 255)).save(tmp_path / "a.png")
    code = "import sys; from clipspect.frame.decode import read; read(sys.argv[1])"
    assert run_code(code, tmp_path / "a.png").peak_bytes < 1_000_000_000
