"""Frames in tiles: the C++ header cuts, blends and judges them as the Python runtime does."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import clipspect
from clipspect.bundle.bundle import Bundle
from clipspect.frame.region_of_interest import Area, RegionOfInterest
from clipspect.frame.tiling import Tiling
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from clipspect.recipes.recipe_file import pack
from clipspect.recipes.shelf import open_recipe
from clipspect_models import DEMO_BUNDLE
from support import handmade
from support.cpp_answers import compare
from support.cpp_programs import call

SIZE = (640, 480)
STAR = RegionOfInterest(SIZE, Area((((40, 30), (600, 120), (330, 460)),)))
LOOKS: dict[str, dict[str, Any]] = {
    "size": {"tiling": Tiling(size=(300, 260))},
    "grid": {"tiling": Tiling(grid=(3, 2), overlap=0)},
    "covered": {"tiling": Tiling(size=(2000, 2000))},
    "crop": {"tiling": Tiling(size=(200, 200)), "region_of_interest": dataclasses.replace(STAR, mode="crop")},
    "mask": {"tiling": Tiling(size=(250, 250), overlap=10), "region_of_interest": STAR},
}


@pytest.mark.parametrize("look", list(LOOKS))
def test_score_map_regions_and_notes_are_those_of_python(built: Path, tmp_path: Path, look: str) -> None:
    drawn = Path(DEMO_BUNDLE).parent / "demo_images" / "gear-burn.jpg"
    images = [tmp_path / "frame.png", tmp_path / "grey.png"]
    Image.open(drawn).resize(SIZE, Image.Resampling.BICUBIC).save(images[0])
    Image.open(drawn).convert("L").resize((1280, 960), Image.Resampling.BICUBIC).save(images[1])
    plain = open_recipe(Bundle.open("demo"))
    recipe = dataclasses.replace(plain, name=look, limits=Limits(0.3, 0.6, 0.3), **LOOKS[look])
    write_recipe(tmp_path / f"{look}.safetensors", recipe)
    records = compare(built, Path(DEMO_BUNDLE), str(tmp_path / f"{look}.safetensors"), images, tmp_path / "maps")
    assert all(record["error"] is None for record in records)
    assert any(record["regions"] for record in records)


def test_a_frame_that_is_shrunk_a_lot_gets_the_same_word(built: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    Image.fromarray(handmade.spotted(300, 200)).save(tmp_path / "frame.png")
    (record,) = compare(built, tiny_bundle, "object", [tmp_path / "frame.png"], tmp_path / "maps")
    assert record["notes"] == [
        "300 x 200 pixels are shrunk 9.38 times for the model, which loses small defects: clipspect recipe and teach "
        "see frames in tiles with --tile 128"
    ]


def test_a_frame_that_cannot_be_cut_is_an_error_of_its_own(built: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    write_recipe(tmp_path / "fine.safetensors", handmade.make_recipe("fine", tiling=Tiling(grid=(20, 20))))
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "small.png")
    out, _ = call(
        built / "inspect", tmp_path / "small.png", "--bundle", tiny_bundle,
        "--recipe", tmp_path / "fine.safetensors", "--json", status=1,
    )  # fmt: skip
    assert b"a side of 9 pixels is too short for 20 tiles" in out


def test_limits_of_tiles_are_not_those_of_whole_frames(built: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    good = [np.full((64, 64), value, np.uint8) for value in range(60, 80)]
    recipe = handmade.make_recipe("nut", tiling=Tiling(size=(40, 40)))
    for frame in good:
        frame[::2] += 10
    with clipspect.load(tiny_bundle, recipe, "openvino") as inspector:
        calibrated = clipspect.calibrate(inspector, good, anyway=True)
    Image.fromarray(good[0]).save(tmp_path / "part.png")
    arguments = [tmp_path / "part.png", "--bundle", tiny_bundle, "--recipe", tmp_path / "nut.safetensors", "--json"]
    write_recipe(tmp_path / "nut.safetensors", calibrated)
    assert b'"verdict": "' in call(built / "inspect", *arguments)[0]
    for other in (None, Tiling(size=(40, 41))):
        write_recipe(tmp_path / "nut.safetensors", dataclasses.replace(calibrated, tiling=other))
        assert "calibrated with another" in call(built / "inspect", *arguments, status=1)[1]


@pytest.mark.parametrize(
    ("tiling", "said"),
    [
        ({}, "either the size of a tile or the grid"),
        ({"size": [1, 2], "grid": [1, 2]}, "either the size of a tile or the grid"),
        ({"size": [0, 2]}, "expected numbers from 1"),
        ({"size": [1, 2, 3]}, "expected two numbers"),
        ({"size": [1.5, 2]}, "whole number"),
        ({"grid": [50, 50]}, "more tiles than 1000"),
        ({"grid": [9223372036854775807, 2]}, "no frame is so large"),
        ({"size": [9, 9], "overlap": 76}, "expected 0 to 75 per cent"),
    ],
)
def test_tiles_that_cannot_be_are_refused_in_one_line(
    built: Path, tiny_bundle: Path, tmp_path: Path, tiling: dict[str, Any], said: str
) -> None:
    recipe = handmade.make_recipe("nut")
    data = pack({**recipe.document(), "tiling": tiling}, recipe.tensors)[1]
    (tmp_path / "nut.safetensors").write_bytes(data)
    Image.fromarray(handmade.spotted()).save(tmp_path / "frame.png")
    _, err = call(
        built / "inspect", tmp_path / "frame.png", "--bundle", tiny_bundle, "--recipe", tmp_path / "nut.safetensors",
        status=1,
    )  # fmt: skip
    assert said in err
    assert len(err.strip().splitlines()) == 1
