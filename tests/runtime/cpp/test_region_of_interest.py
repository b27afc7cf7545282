"""With a region of interest the C++ header judges what the Python runtime judges, to the same pixels, or refuses."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clipspect
from clipspect.frame.alignment import alignment_to
from clipspect.frame.region_of_interest import Area, RegionOfInterest, area_of
from clipspect.recipes.limits import Limits
from clipspect.recipes.on_demand import OnDemand, Reuse
from clipspect.recipes.recipe import write_recipe
from clipspect_models import DEMO_BUNDLE
from support import handmade
from support.cpp_answers import compare
from support.cpp_programs import call

SIZE = (240, 240)
STAR = tuple(
    (round(120 + 110 * np.sin(4 * np.pi * i / 5)), round(120 - 110 * np.cos(4 * np.pi * i / 5))) for i in range(5)
)
SPOTS = np.kron(np.random.default_rng(0).random((12, 12)) < 0.2, np.ones((20, 20))) > 0
SQUARE = ((31, 20), (200, 20), (200, 151), (31, 151))
REGIONS = {
    "star": RegionOfInterest(SIZE, Area((STAR,)), Area(runs=area_of(SPOTS).runs)),
    "ignored": RegionOfInterest(SIZE, ignored=Area((SQUARE,))),
    "crop": RegionOfInterest(SIZE, Area((((100, 5), (220, 90), (130, 200)), SQUARE)), mode="crop"),
    "rectangle": RegionOfInterest(SIZE, Area((SQUARE,)), mode="crop"),
    "tiny": RegionOfInterest((2400, 2400), Area((((0, 0), (3, 0), (3, 3), (0, 3)),))),
}


def with_region(folder: Path, name: str, region: RegionOfInterest | None, **changes: object) -> Path:
    path = folder / f"{name}.safetensors"
    with clipspect.load("demo", backend="openvino") as inspector:
        recipe = dataclasses.replace(inspector.recipe, name=name, region_of_interest=region, **changes)
    write_recipe(path, recipe)
    return path


@pytest.mark.parametrize("name", list(REGIONS))
def test_score_map_regions_and_quality_are_those_of_python(
    built: Path, photos: list[Path], tmp_path: Path, name: str
) -> None:
    recipe = with_region(tmp_path, name, REGIONS[name], limits=Limits(0.3, 0.6, 0.4))
    wanted = {"square.jpg", "small.png", "tall.jpg", "grey.png", "large.jpg"}
    images = [photo for photo in photos if photo.name in wanted]
    images.append(tmp_path / "double.png")
    Image.open(Path(DEMO_BUNDLE).parent / "demo_images" / "gear-burn.jpg").resize((479, 481)).save(images[-1])
    records = compare(built, Path(DEMO_BUNDLE), str(recipe), images, tmp_path / "maps")
    assert {record["verdict"] for record in records} >= {"invalid"}
    reasons = [reason for record in records for reason in record["reasons"]]
    assert any("the region was drawn on" in reason for reason in reasons)
    assert name != "tiny" or any("no pixel of the model's 240 x 240 lies in it" in reason for reason in reasons)
    assert name == "tiny" or any(record["verdict"] != "invalid" for record in records)
    assert all("embedding" not in record["quality"] for record in records)


def test_limits_that_python_calibrated_with_a_region_judge_as_there(
    built: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good = sorted((Path(DEMO_BUNDLE).parent / "demo_images").glob("*-good.jpg"))
    bad = Path(DEMO_BUNDLE).parent / "demo_images" / "gear-chip.jpg"
    path = with_region(tmp_path, "star", REGIONS["star"])
    with clipspect.load("demo", path, backend="openvino") as inspector:
        recipe = clipspect.calibrate(inspector, good, anyway=True)
    write_recipe(path, recipe)
    compare(built, Path(DEMO_BUNDLE), str(path), [*good[:2], bad], tmp_path / "maps")
    for name, region in (("none", None), ("other", REGIONS["crop"])):
        other = tmp_path / f"{name}.safetensors"
        write_recipe(other, dataclasses.replace(recipe, name=name, region_of_interest=region))
        said = call(built / "inspect", bad, "--bundle", DEMO_BUNDLE, "--recipe", other, status=1)[1]
        assert "were calibrated with another region of interest than it has" in said


def test_what_is_not_done_in_cpp_is_refused_by_name(tiny_bundle: Path, refusal: Callable[[Path], str]) -> None:
    path = tiny_bundle / "recipes" / "object.safetensors"
    aligned = dataclasses.replace(REGIONS["ignored"], alignment=alignment_to(np.zeros((32, 32, 3), np.uint8), (4, 4)))
    write_recipe(path, handmade.make_recipe(region_of_interest=aligned))
    assert "alignment" in refusal(tiny_bundle)
    write_recipe(path, handmade.make_recipe(windows=OnDemand(reuse=Reuse())))
    assert "a cascade and reuse of windows are not in C++" in refusal(tiny_bundle)


@pytest.mark.parametrize(
    "region",
    [
        {},
        [],
        {"frame_size": [0, 4]},
        {"frame_size": [100000, 100000]},
        {"frame_size": [4, 4], "mode": "blur"},
        {"frame_size": [4, 4], "judged": {"runs": [9, 9]}},
        {"frame_size": [4, 4], "judged": {"runs": [1, 2]}},
        {"frame_size": [4, 4], "judged": {"runs": [-1, 17]}},
        {"frame_size": [4, 4], "judged": {"polygons": [[[0, 0], [5, 0], [0, 4]]]}},
        {"frame_size": [4, 4], "judged": {"polygons": [[[0, 0], [4, 0]]]}},
        {"frame_size": [4, 4], "ignored": {"polygons": [[[0, 0], [4], [0, 4]]]}},
        {"frame_size": [4, 4], "ignored": 3},
    ],
)
def test_a_region_that_no_frame_has_is_refused_as_in_python(
    tiny_bundle: Path, refusal: Callable[[Path], str], region: object
) -> None:
    from clipspect.base.errors import RecipeError
    from clipspect.recipes.recipe import read_recipe
    from clipspect.recipes.recipe_file import pack

    path = tiny_bundle / "recipes" / "object.safetensors"
    recipe = handmade.make_recipe()
    path.write_bytes(pack({**recipe.document(), "region_of_interest": region}, recipe.tensors)[1])
    with pytest.raises(RecipeError):
        read_recipe(path)
    assert "region_of_interest" in refusal(tiny_bundle)
    assert json.dumps(region)
