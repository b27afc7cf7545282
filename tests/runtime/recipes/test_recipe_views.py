"""What a recipe looks at, in its file: older readers refuse it, and what cannot be is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from clipspect.frame.region_of_interest import Area, RegionOfInterest
from clipspect.frame.tiling import Tiling
from clipspect.recipes.recipe import read_recipe, write_recipe
from support import handmade
from support.recipe_files import hostile, in_parts, refusal


def test_a_recipe_with_a_region_of_interest_is_of_a_schema_that_older_readers_refuse(tmp_path: Path) -> None:
    path, region = tmp_path / "nut.safetensors", RegionOfInterest((40, 30), Area((((1, 1), (39, 1), (20, 29)),)))
    plain = handmade.make_recipe("nut")
    write_recipe(path, dataclasses.replace(plain, region_of_interest=region))
    assert json.loads(in_parts(path)[1])["schema_version"] == 3
    assert read_recipe(path).region_of_interest == region
    with_region = read_recipe(path).digest
    write_recipe(path, plain)
    assert json.loads(in_parts(path)[1])["schema_version"] == 2
    assert "region_of_interest" not in json.loads(in_parts(path)[1])
    assert read_recipe(path).region_of_interest is None
    assert read_recipe(path).digest != with_region


def test_a_region_of_interest_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nut.safetensors"
    hostile(path, region_of_interest={"frame_size": [10, 10], "judged": {"runs": [3]}})
    assert "its mask has not the 100 pixels" in refusal(path)
    hostile(path, region_of_interest={"frame_size": [10, 10], "mode": "blur"})
    assert "region_of_interest.mode" in refusal(path)


def test_a_recipe_with_tiles_is_of_a_version_that_a_reader_without_tiles_refuses(tmp_path: Path) -> None:
    whole, tiled = handmade.make_recipe("nut"), handmade.make_recipe("nut", tiling=Tiling(grid=(3, 2), overlap=10))
    for recipe, version in ((whole, 2), (tiled, 3)):
        write_recipe(tmp_path / "nut.safetensors", recipe)
        document = json.loads(in_parts(tmp_path / "nut.safetensors")[1])
        assert document["schema_version"] == version
        assert ("tiling" in document) == (recipe is tiled)
        read = read_recipe(tmp_path / "nut.safetensors")
        assert (read.tiling, read.digest) == (recipe.tiling, recipe.digest)


def test_a_tiling_that_cannot_be_is_no_recipe(tmp_path: Path) -> None:
    hostile(tmp_path / "nut.safetensors", schema_version=3, tiling={"size": [0, 5]})
    assert "expected numbers from 1, found 0 x 5" in refusal(tmp_path / "nut.safetensors")
    hostile(tmp_path / "nut.safetensors", schema_version=3, tiling={"grid": [1.5, 5]})
    assert "tiling.grid[0]: expected int, found float" in refusal(tmp_path / "nut.safetensors")
