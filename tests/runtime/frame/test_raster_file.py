"""Image files: read whole, of raster formats only, and what the system does not give is told apart from damage."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from clipspect.base.errors import ImageError, ImageReadError
from clipspect.frame.decode import read

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize("suffix", ["pgm", "bmp", "tif", "ppm"])
def test_a_file_that_is_cut_and_written_again_changes_no_pixel_that_was_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("L", (300, 200), 77).save(path)
    picture = read(path)
    with path.open("r+b") as file:  # in place: a mapped page that is gone would end the process
        file.truncate(0)
    assert np.asarray(picture).tobytes() == np.full((200, 300), 77, np.uint8).tobytes()


def test_what_is_no_raster_image_is_refused_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(EPS)
    code = (
        "import sys; from PIL import Image; Image.init(); from clipspect.frame.decode import read\n"
        "sys.addaudithook(lambda event, found: event.startswith('subprocess') and print('started', found))\n"
        "read(sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], capture_output=True, text=True, check=False)
    assert "a.png: not an image of a raster format" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_cut_image_is_refused_though_another_library_shows_what_there_is(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(ImageError, match=r"cut\.\w+: damaged or cut short"):
        read(path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True  # it stays what the other library asked for


def test_what_the_system_does_not_give_is_told_apart_from_a_damaged_image(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match=r"mem: cannot be read now \(Input/output error\): check its rights"):
        read("/proc/self/mem")
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(ImageError) as caught:
        read(tmp_path / "a.png")
    assert not isinstance(caught.value, ImageReadError)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_rights_is_one_that_cannot_be_read_now(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (4, 4)).save(path)
    path.chmod(0)
    with pytest.raises(ImageReadError, match="Permission denied"):
        read(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ImageError, match="is not a file"):
        read(tmp_path / "a.png")


def test_a_name_that_no_file_can_have_is_one_error() -> None:
    with pytest.raises(ImageError, match="no such file"):
        read("a\0.png")


def test_a_line_of_pixels_that_no_memory_holds_is_refused_unread(tmp_path: Path) -> None:
    Image.new("1", (1, 2_000_000)).save(tmp_path / "line.png")
    with pytest.raises(ImageError, match="1 x 2000000 has a side of more than 1,000,000 pixels"):
        read(tmp_path / "line.png")
