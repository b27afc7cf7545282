"""Odd and hostile image files: each is shown right, or refused in one line, within 5 seconds and 500 MB."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from clipspect.base.errors import ImageError
from clipspect.frame.decode import read
from support import odd_rasters
from support.measured import run_code
from support.odd_jpeg import odd_jpegs
from support.odd_png import chunk, odd_pngs

FILES = {
    **{f"{name}.png": data for name, data in odd_pngs().items()},
    **{f"{n}.jpg": d for n, d in odd_jpegs().items()},
}
MOST_S, MOST_BYTES = 5, 500_000_000


@pytest.mark.parametrize("name", FILES)
def test_an_odd_png_or_jpeg_is_a_picture_or_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    start = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of EXIF
            assert read(tmp_path / name).mode in {"L", "RGB"}
        said = f"{name}: "
    except ImageError as error:
        said = str(error)
    assert f"{name}: " in said
    assert "\n" not in said
    assert time.process_time() - start < MOST_S


SHOWN = odd_rasters.shown()


@pytest.mark.parametrize("name", SHOWN)
def test_every_form_of_tiff_bmp_and_pnm_is_shown_right(tmp_path: Path, name: str) -> None:
    data, row = SHOWN[name]
    (tmp_path / "a.tif").write_bytes(data)
    picture = np.asarray(read(tmp_path / "a.tif"))
    assert picture[0].reshape(picture.shape[1], -1)[:, 0].tolist() == row


def test_large_files_of_nothing_are_refused_in_little_time_and_memory(tmp_path: Path) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 10_000, 8_000, 8, 2, 0, 0, 0))
    starts = {
        "terabyte.png": (b"\x89PNG\r\n\x1a\n", 1 << 40),
        "holes.png": (b"\x89PNG\r\n\x1a\n" + header, 390_000_000),
        "holes.jpg": (b"\xff\xd8\xff\xe0", 40_000_000),
        "holes.tif": (b"II*\0\x08\0\0\0", 40_000_000),
        "holes.pgm": (b"P5 8000 9000 65535\n", 40_000_000),
        "holes.ppm": (b"P3 8000 9000 255\n", 40_000_000),
    }
    for name, (start, size) in starts.items():
        with (tmp_path / name).open("wb") as file:
            file.write(start)
            file.truncate(size)
    (tmp_path / "fill.jpg").write_bytes(b"\xff\xd8" + b"\xff" * 10_000_000)
    (tmp_path / "markers.jpg").write_bytes(b"\xff\xd8" + b"\xff\xfe\0\2" * 3_000_000)
    (tmp_path / "chunks.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"tEXt") * 300_000)
    code = (
        "import sys, time; from clipspect.frame.decode import read; from clipspect import ImageError\n"
        "for path in sys.argv[1:]:\n"
        "    start = time.process_time()\n"
        "    try: read(path)\n"
        "    except ImageError: print(time.process_time() - start)\n"
    )
    paths = sorted(map(str, tmp_path.iterdir()))
    done = run_code(code, *paths)
    seconds = list(map(float, done.output.split()))
    assert len(seconds) == len(paths)
    assert max(seconds) < MOST_S
    assert done.peak_bytes < MOST_BYTES


@pytest.mark.parametrize(("value", "reason"), [("100", "more than 100 pixels"), ("x", "expected a whole number")])
def test_the_limit_is_set_by_the_environment(tmp_path: Path, value: str, reason: str) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 11 10 255\n" + bytes(110))
    code = "import sys; from clipspect.frame.decode import read; read(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.pgm"],
        env={**os.environ, "CLIPSPECT_MAX_PIXELS": value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert reason in done.stderr
