"""Every kind of frame is either right or one clear error that names the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipspect.base.errors import ImageError
from clipspect.frame.decode import decode, read, size_of, source_name
from clipspect.frame.input_limits import MAX_PIXELS
from clipspect.frame.prepare import prepare
from clipspect.frame.raster_file import EncodedImage
from clipspect.frame.spec import ImageSpec

EXIF_ORIENTATION = 0x0112


def pixels(frame: object) -> npt.NDArray[np.uint8]:
    image = decode(frame)  # type: ignore[arg-type]
    assert image.mode == "RGB"
    return np.asarray(image)


def ramp(height: int = 8, width: int = 16) -> npt.NDArray[np.uint8]:
    """Grey values that differ everywhere enough to see a rotation."""
    return (np.arange(height * width) % 251).astype(np.uint8).reshape(height, width)


def refusal(frame: object) -> str:
    with pytest.raises(ImageError) as caught:
        decode(frame)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_path_an_image_and_an_array_of_the_same_pixels_decode_alike(tmp_path: Path) -> None:
    array = np.stack([ramp(), ramp() // 2, 255 - ramp()], axis=-1)
    path = tmp_path / "a.png"
    Image.fromarray(array).save(path)
    encoded = EncodedImage("a.png", path.read_bytes())
    for frame in (path, str(path), encoded, Image.fromarray(array), Image.open(path), array):
        np.testing.assert_array_equal(pixels(frame), array)


@pytest.mark.parametrize("cut", [0, 5, 40, -1])
def test_the_bytes_of_a_damaged_file_are_refused_as_the_file_is(tmp_path: Path, cut: int) -> None:
    Image.fromarray(ramp()).save(path := tmp_path / "a.png")
    content = path.read_bytes()[:cut]
    path.write_bytes(content)
    assert refusal(EncodedImage(str(path), content)) == refusal(path)
    assert source_name(EncodedImage("part 7", content)) == "part 7"


def test_a_grey_array_and_a_grey_file_become_three_equal_channels(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / "a.png")
    expected = np.stack([ramp()] * 3, axis=-1)
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), expected)
    np.testing.assert_array_equal(pixels(ramp()), expected)


def test_a_reversed_view_of_a_bgr_frame_is_read_right() -> None:
    bgr = np.stack([ramp(), ramp() // 2, 255 - ramp()], axis=-1)
    np.testing.assert_array_equal(pixels(bgr[..., ::-1]), np.ascontiguousarray(bgr[..., ::-1]))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_to_files_and_to_images(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((32, 64, 3), np.uint8)
    upright[:16, :16] = 255  # white at the top left, as the photographer saw it
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Transpose that a camera held this way has done
    stored = Image.fromarray(upright)
    if orientation in undo:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    path = tmp_path / "a.jpg"
    stored.save(path, exif=exif, quality=100)
    for frame in (path, Image.open(path)):
        found = pixels(frame)
        assert found.shape == upright.shape
        assert np.abs(found.astype(int) - upright).max() < 60


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[..., 0] = 200
    rgba[:2, :, 3] = 255
    rgba[2, :, 3] = 51
    Image.fromarray(rgba).save(tmp_path / "a.png")
    found = pixels(tmp_path / "a.png")
    assert found[0, 0].tolist() == [200, 0, 0]
    assert found[2, 0].tolist() == [244, 204, 204]
    assert found[3, 0].tolist() == [255, 255, 255]


def test_an_opaque_rgba_image_is_its_rgb(tmp_path: Path) -> None:
    array = np.stack([ramp(), ramp() // 2, 255 - ramp()], axis=-1)
    Image.fromarray(array).convert("RGBA").save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), array)


def test_a_palette_and_a_transparent_palette_are_read_in_colour(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([250, 10, 20, 30, 40, 50])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "opaque.png")
    image.save(tmp_path / "clear.png", transparency=1)
    assert pixels(tmp_path / "opaque.png").tolist() == [[[250, 10, 20], [30, 40, 50]]]
    assert pixels(tmp_path / "clear.png").tolist() == [[[250, 10, 20], [255, 255, 255]]]


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    deep = np.array([[0, 128, 257, 32768, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    Image.fromarray(deep).save(tmp_path / "a.tif")
    expected = [0, 0, 1, 128, 255]
    for frame in (
        tmp_path / "a.png",
        tmp_path / "a.tif",
        Image.fromarray(deep),
        Image.fromarray(deep.astype(np.int32)),
    ):
        assert pixels(frame)[0, :, 0].tolist() == expected


def test_cmyk_one_bit_and_animations_are_read(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    red, green, _ = pixels(tmp_path / "a.jpg")[0, 0]
    assert red > 200
    assert green < 60
    Image.new("1", (8, 8), 1).save(tmp_path / "b.png")
    assert (pixels(tmp_path / "b.png") == 255).all()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "c.gif", save_all=True, append_images=frames[1:])
    assert pixels(tmp_path / "c.gif")[0, 0].tolist() == [255, 0, 0]


def test_a_larger_frame_is_read_without_a_copy() -> None:
    frame = np.zeros((30, 40, 3), np.uint8)
    for array in (frame, frame[..., ::-1], frame[..., 0], frame[::2, 5:]):
        assert np.shares_memory(read(array), array)
    image = Image.new("RGB", (40, 30))
    assert read(image) is image


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp", "gif", "ppm"])
def test_a_picture_stays_readable_when_its_file_is_gone(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.stack([ramp(), ramp(), ramp()], axis=-1)).save(path)
    expected = pixels(path)
    ready = prepare(path, ImageSpec(4, 4))
    path.unlink()
    np.testing.assert_array_equal(np.asarray(ready.image), expected)
    assert ready.size == size_of(ready.image) == (16, 8)


def test_decoding_leaves_the_callers_image_as_it_was() -> None:
    image = Image.fromarray(ramp()).convert("RGB")
    assert decode(image) is not image


def test_more_pixels_than_the_limit_are_refused_unread(tmp_path: Path) -> None:
    side = int(MAX_PIXELS**0.5) + 1
    Image.new("1", (side, side)).save(tmp_path / "bomb.png")
    assert f"bomb.png: {side} x {side} is more than" in refusal(tmp_path / "bomb.png")


def test_a_decompression_bomb_beyond_pillows_own_limit_is_refused(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    assert "bomb.png" in refusal(tmp_path / "bomb.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp", "gif"])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert str(path) in refusal(path)


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_file_is_read_or_refused_but_never_another_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damaged") / f"a.{data.draw(st.sampled_from(['png', 'jpg', 'tif', 'gif', 'webp']))}"
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    Image.fromarray(np.stack([ramp()] * 3, axis=-1)).save(path, exif=exif)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    try:
        assert decode(path).mode == "RGB"
    except ImageError as error:
        assert str(path) in str(error)  # noqa: PT017, either is right


def test_files_that_are_no_images_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("not an image")
    (tmp_path / "empty.png").touch()
    assert "notes.png: not an image" in refusal(tmp_path / "notes.png")
    assert "empty.png: the file is empty" in refusal(tmp_path / "empty.png")
    assert "none.png: no such file" in refusal(tmp_path / "none.png")
    assert "is not a file" in refusal(tmp_path)


def test_floating_point_and_wide_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(tmp_path / "wide.tif")
    assert "float.tif: floating-point pixels" in refusal(tmp_path / "float.tif")
    assert "wide.tif: pixels from 70000 to 70000 are beyond 0 to 65535" in refusal(tmp_path / "wide.tif")


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.ones((4, 4, 3), np.float32), "expected uint8"),
        (np.full((4, 4), np.nan), "expected uint8"),
        (np.ones((4, 4), np.uint16), "expected uint8"),
        (np.ones((4, 4), bool), "expected uint8"),
        (np.ones((4, 4, 4), np.uint8), "expected (height, width, 3)"),
        (np.ones((3, 4, 4), np.uint8), "expected (height, width, 3)"),
        (np.ones((1, 4, 4, 3), np.uint8), "expected (height, width, 3)"),
        (np.ones(4, np.uint8), "expected (height, width, 3)"),
        (np.ones((0, 4, 3), np.uint8), "no pixels"),
        (np.ones((4, 0), np.uint8), "no pixels"),
        (np.broadcast_to(np.uint8(0), (10_000, 10_000)), "is more than"),
    ],
)
def test_an_array_of_the_wrong_kind_is_refused_by_its_type_and_shape(
    array: npt.NDArray[np.generic], reason: str
) -> None:
    message = refusal(array)
    assert reason in message
    assert f"array of {array.dtype} {array.shape}" in message


def test_what_is_no_frame_at_all_is_refused() -> None:
    assert "cannot inspect list" in refusal([[1, 2], [3, 4]])
    assert "cannot inspect NoneType" in refusal(None)


def test_an_image_without_pixels_is_refused() -> None:
    assert "no pixels" in refusal(Image.new("RGB", (0, 5)))


def test_frames_with_a_path_have_a_name(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / "a.png")
    path = str(tmp_path / "a.png")
    assert source_name(Path(path)) == source_name(path) == source_name(Image.open(path)) == path
    assert source_name(ramp()) is None
    assert source_name(Image.new("L", (1, 1))) is None


NO_MEMORY = """
import resource, sys
from clipspect import ImageReadError
from clipspect.frame.prepare import prepare
from clipspect.frame.spec import ImageSpec
prepare(sys.argv[1], ImageSpec(32, 32))
size = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
for more in range(0, 120_000_000, 15_000_000):
    resource.setrlimit(resource.RLIMIT_AS, (size + more, -1))
    try:
        prepare(sys.argv[2], ImageSpec(32, 32))
    except ImageReadError as error:
        assert "cannot be read now (no memory" in str(error), error
        print("told", flush=True)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux")
def test_a_box_without_memory_says_nothing_of_the_image_wherever_it_runs_out(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / "small.png")
    Image.new("RGB", (3000, 3000), (20, 30, 40)).save(tmp_path / "large.png")
    command = [sys.executable, "-c", NO_MEMORY, str(tmp_path / "small.png"), str(tmp_path / "large.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert 3 <= len(done.stdout.split()) < 8
