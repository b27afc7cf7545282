"""Odd PNG and JPEG files: whatever both C++ and Python take, they show alike."""

from __future__ import annotations

import warnings
from pathlib import Path
from random import Random

import numpy as np

from clipspect.base.errors import ImageError
from clipspect.frame.decode import read
from clipspect.frame.resize import to_model_size
from clipspect.frame.spec import ImageSpec
from fuzz.mutate import any_bytes
from support.cpp_programs import call
from support.odd_jpeg import odd_jpegs
from support.odd_png import SIGNATURE, chunk, odd_pngs

MUTANTS = 600  # of each kind
SIZE = ImageSpec(13, 17)


def test_an_odd_file_that_both_take_has_the_same_pixels_in_both(built: Path, tmp_path: Path) -> None:
    files = {f"{name}.png": data for name, data in odd_pngs().items()}
    files |= {f"{name}.jpg": data for name, data in odd_jpegs().items()}
    assert taken_by_both(built, tmp_path, files) > 150


def test_a_changed_file_that_both_take_has_the_same_pixels_in_both(built: Path, tmp_path: Path) -> None:
    random = Random(0)
    pngs, jpegs = ([data for data in made.values() if len(data) < 20_000] for made in (odd_pngs(), odd_jpegs()))
    files = {f"{at}.png": sealed_png(any_bytes(random.choice(pngs), random)) for at in range(MUTANTS)}
    files |= {f"{at}.jpg": any_bytes(random.choice(jpegs), random) for at in range(MUTANTS)}
    assert taken_by_both(built, tmp_path, files) > MUTANTS // 4


def sealed_png(data: bytes) -> bytes:
    """The same with checksums that fit its chunks, as far as there are chunks."""
    at, parts = len(SIGNATURE), [data[: len(SIGNATURE)]]
    while at + 12 <= len(data) and (size := int.from_bytes(data[at : at + 4], "big")) <= len(data) - at - 12:
        parts.append(chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return b"".join([*parts, data[at:]])


def taken_by_both(built: Path, folder: Path, files: dict[str, bytes]) -> int:
    """How many files are; asserts that they have the same pixels in both."""
    paths = [folder / name for name in files]
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
    return both
