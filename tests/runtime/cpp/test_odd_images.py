"""Odd PNG and JPEG files: whatever both C++ and Python take, they show alike."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from clipspect.base.errors import ImageError
from clipspect.frame.decode import read
from clipspect.frame.resize import to_model_size
from clipspect.frame.spec import ImageSpec
from support.cpp_programs import call
from support.odd_jpeg import odd_jpegs
from support.odd_png import odd_pngs

SIZE = ImageSpec(13, 17)


def test_an_odd_file_that_both_take_has_the_same_pixels_in_both(built: Path, tmp_path: Path) -> None:
    files = {f"{name}.png": data for name, data in odd_pngs().items()}
    files |= {f"{name}.jpg": data for name, data in odd_jpegs().items()}
    paths = [tmp_path / name for name in files]
    for path in paths:
        path.write_bytes(files[path.name])
    out, said = call(built / "pixels", SIZE.height, SIZE.width, *paths, status=1)
    refused = {line.partition(": ")[0] for line in said.splitlines()}
    taken = [path for path in paths if str(path) not in refused]
    assert len(taken) + len(said.splitlines()) == len(paths)
    both = 0
    for path, found in zip(taken, np.frombuffer(out, np.uint8).reshape(-1, SIZE.height, SIZE.width, 3), strict=True):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = to_model_size(read(path), SIZE)
        except ImageError:
            continue
        both += 1
        np.testing.assert_array_equal(found, expected, err_msg=path.name)
    assert both > 150
