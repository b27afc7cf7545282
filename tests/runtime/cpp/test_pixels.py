"""The pixels that C++ hands to the model, beside those of the Python runtime."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipspect.base.errors import ImageError
from clipspect.frame.decode import read
from clipspect.frame.resize import to_model_size
from clipspect.frame.spec import ImageSpec
from support.cpp_programs import call
from support.raw_images import png


def pixels_of(built: Path, images: list[Path], height: int, width: int) -> np.ndarray:
    """(N, H, W, 3) of images that can be read."""
    out, said = call(built / "pixels", height, width, *images)
    assert said == ""
    return np.frombuffer(out, np.uint8).reshape(-1, height, width, 3)


@pytest.mark.parametrize("size", [(240, 240), (518, 518), (33, 100)])
def test_pixels_are_equal_for_photographs_of_every_kind(built: Path, photos: list[Path], size: tuple[int, int]) -> None:
    for image, found in zip(photos, pixels_of(built, photos, *size), strict=True):
        expected = to_model_size(read(image), ImageSpec(*size))
        np.testing.assert_array_equal(found, expected, err_msg=image.name)


def test_every_orientation_of_a_photo_is_turned_as_in_python(built: Path, tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (23, 37, 3), dtype=np.uint8))
    images = [tmp_path / f"{value}{suffix}" for value in range(10) for suffix in (".jpg", ".png")]
    for image in images:
        exif = Image.Exif()
        exif[0x0112] = int(image.stem)
        picture.save(image, exif=exif)
    for image, found in zip(images, pixels_of(built, images, 40, 40), strict=True):
        np.testing.assert_array_equal(found, to_model_size(read(image), ImageSpec(40, 40)), err_msg=image.name)


def test_a_cut_file_that_python_refuses_is_refused(built: Path, photos: list[Path], tmp_path: Path) -> None:
    chosen = [
        photo for photo in photos if photo.name in {"grey.png", "half-colour.jpg", "see-through.png", "square.jpg"}
    ]
    pieces = []
    for photo in chosen:
        content = photo.read_bytes()
        for kept in [1, 3, 20, 60, 200, *np.linspace(300, len(content) - 20, 12).astype(int), len(content) - 2]:
            pieces.append(tmp_path / f"{kept}-{photo.name}")
            pieces[-1].write_bytes(content[:kept])
    assert len(pieces) > 70
    refused = [piece for piece in pieces if _refused(piece)]
    said = call(built / "pixels", 8, 8, *refused, status=1)[1]
    assert said.count("\n") == len(refused) > 60


def test_flipped_bytes_are_an_error_or_a_picture(built: Path, photos: list[Path], tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    damaged = []
    for photo in photos:
        content = np.frombuffer(photo.read_bytes()[:4000], np.uint8).copy()
        for number in range(8):
            places = generator.integers(2, min(len(content), 700), 6)
            content[places] = generator.integers(0, 256, 6)
            damaged.append(tmp_path / f"{number}-{photo.name}")
            damaged[-1].write_bytes(content.tobytes())
    call(built / "pixels", 8, 8, *damaged, status=1)


def test_images_that_cannot_be_inspected_are_refused_in_a_line(built: Path, photos: list[Path], tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8)).save(tmp_path / "cmyk.jpg")
    Image.new("RGB", (8, 8)).save(tmp_path / "other.gif")
    (tmp_path / "empty.png").touch()
    huge = bytearray((next(photo for photo in photos if photo.name == "grey.png")).read_bytes())
    huge[16:24] = (9000).to_bytes(4, "big") * 2  # width and height: 81 million pixels
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    (tmp_path / "huge.png").write_bytes(huge)
    reasons = {
        "cmyk.jpg": "convert it to RGB",
        "other.gif": "not a JPEG or PNG",
        "empty.png": "the file is empty",
        "huge.png": "is more than 80000000 pixels",
        "missing.png": "no such file",
        ".": "no such file",
    }
    for name, reason in reasons.items():
        said = call(built / "pixels", 8, 8, tmp_path / name, status=1)[1]
        assert reason in said
        assert said.count("\n") == 1


def test_transparency_of_every_depth_is_shown_or_refused_as_in_python(built: Path, tmp_path: Path) -> None:
    colour = np.array([[[1000, 1000, 1000], [30000, 2, 1]]])
    images = [
        png(tmp_path / "deep.png", np.array([[1000, 30000, 1001]]), 16, 0, (1000,)),
        png(tmp_path / "four.png", np.array([[3, 15, 5]]), 4, 0, (3,)),
        png(tmp_path / "plain.png", np.array([[10, 20]]), 8, 0, (10,)),
        png(tmp_path / "colour.png", colour % 256, 8, 2, (232, 232, 232)),
    ]
    for image, found in zip(images, pixels_of(built, images, 8, 8), strict=True):
        np.testing.assert_array_equal(found, to_model_size(read(image), ImageSpec(8, 8)), err_msg=image.name)
    png(tmp_path / "lost.png", colour, 16, 2, (1000, 1000, 1000))
    Image.new("RGBA", (4, 4), (200, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("1", (1, 2_000_000)).save(tmp_path / "line.png")
    reasons = {"lost": "16 bits is lost in 8", "clear": "wholly transparent", "line": "a side of more than 1000000"}
    for name, reason in reasons.items():
        assert _refused(tmp_path / f"{name}.png")
        assert reason in call(built / "pixels", 8, 8, tmp_path / f"{name}.png", status=1)[1]


def _refused(image: Path) -> bool:
    try:
        read(image)
    except ImageError:
        return True
    return False
