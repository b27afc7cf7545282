"""Recipes that see frames in tiles: one gallery of all tiles of the references, limits of frames, the commands."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import clipspect
from clipspect.bundle.bundle import Bundle
from clipspect.frame.region_of_interest import Area, RegionOfInterest
from clipspect.frame.tiling import Tiling
from clipspect.inspection.calibrate import calibrate
from clipspect.inspection.teach import teach
from clipspect.recipes.make import make_recipe, with_photographs_in
from clipspect.recipes.recipe import read_recipe
from clipspect.recipes.references import TILES_KEPT, read_references
from clipspect.recipes.region import with_region
from support import handmade, handmade_graphs
from support.command_line import error_of, run

TILING = Tiling(size=(48, 48))
WIDTH, HEIGHT = 120, 90


def part(seed: int) -> npt.NDArray[np.uint8]:
    """A dim good part: blocks of a few colours."""
    blocks = np.random.default_rng(seed).integers(20, 90, (6, 8, 3), np.uint8)
    return np.asarray(Image.fromarray(blocks).resize((WIDTH, HEIGHT), Image.Resampling.NEAREST))


def folder_of(path: Path, count: int) -> Path:
    path.mkdir()
    for seed in range(count):
        Image.fromarray(part(seed)).save(path / f"{seed}.png")
    return path


def test_references_are_the_tiles_of_every_photo_as_a_frame_is_cut(tmp_path: Path, full_bundle: Path) -> None:
    with clipspect.load(full_bundle) as inspector:
        spec = inspector.bundle.manifest.image
    viewing = handmade.make_recipe("x", tiling=TILING).viewing
    found = read_references([part(0), part(1)], spec, viewing=viewing)
    assert found is not None
    views = viewing.views(WIDTH, HEIGHT)
    assert len(found) == 2 * len(views)
    assert found.owners == (0,) * len(views) + (1,) * len(views)
    assert sorted(found.tried) == list(range(len(found)))
    expected = np.asarray(
        Image.fromarray(part(1)[views[3].crop.slices]).resize((32, 32), Image.Resampling.BICUBIC), np.int16
    )
    np.testing.assert_allclose(found[len(views) + 3], expected, atol=1)
    turned = read_references([part(0)], spec, viewing=viewing, rotations=True)
    assert turned is not None
    assert len(turned) == 8 * len(views)
    assert sorted(turned.tried) == list(range(0, len(turned), 8))


def test_tiles_share_one_gallery_that_has_the_rows_of_sixteen_by_default(full_bundle: Path) -> None:
    photos = [part(seed) for seed in range(4)]
    recipe = make_recipe(full_bundle, "tiled", references=photos, tiling=Tiling(grid=(4, 3)))
    assert recipe.references is not None
    for name, cells in handmade_graphs.GRIDS.items():
        gallery = recipe.references["galleries"][name]
        assert gallery["of"] == 4 * 12 * cells**2
        assert gallery["rows"] == TILES_KEPT * cells**2 == len(recipe.tensors[f"reference_{name}"])
        assert sum(gallery["kept"]) == gallery["rows"]
    asked = make_recipe(full_bundle, "tiled", references=photos, tiling=Tiling(grid=(4, 3)), gallery_size=10)
    assert len(asked.tensors["reference_fine"]) == 10


def test_a_tile_is_like_a_reference_wherever_it_lies(full_bundle: Path) -> None:
    """One gallery for all positions: what is good on the left is good on the right."""
    photo = part(0)
    recipe = make_recipe(full_bundle, "tiled", references=[photo], tiling=Tiling(grid=(4, 3), overlap=0), judge="both")
    turned_round = np.ascontiguousarray(np.roll(photo, WIDTH // 2, axis=1))
    odd = photo.copy()
    odd[40:60, 60:80] = 250, 10, 10
    with clipspect.load(full_bundle, recipe) as inspector:
        same, moved, defect = (inspector.inspect(shown).score for shown in (photo, turned_round, odd))
    assert moved == pytest.approx(same, abs=1e-5)
    assert defect > same + 0.04


def test_limits_are_of_frames_in_tiles_and_judge_them(full_bundle: Path, tmp_path: Path) -> None:
    recipe = handmade.make_recipe("tiled", tiling=TILING)
    good = [part(seed) for seed in range(12)]
    with clipspect.load(full_bundle, recipe) as inspector:
        calibrated = calibrate(inspector, good, anyway=True)
        scores = [result.score for result in inspector.inspect_batch(good)]
    assert calibrated.limits is not None
    assert calibrated.calibration is not None
    assert [found.score for found in calibrated.calibration.parts] == scores
    assert calibrated.tiling == TILING
    small = part(0).copy()
    small[50:54, 60:64] = 255
    with clipspect.load(full_bundle, calibrated) as inspector:
        assert inspector.inspect(good[0]).verdict != "fail"
        assert inspector.inspect(small).verdict == "fail"


def test_references_in_the_tiles_of_a_region_are_not_compared_with_other_tiles(full_bundle: Path) -> None:
    """Else every good part of the other region scores as if it were defective, and limits are made of that."""
    left, right = (
        RegionOfInterest((WIDTH, HEIGHT), Area((((x, 0), (x + 40, 0), (x + 40, 90), (x, 90)),))) for x in (0, 80)
    )
    photos, grid = [part(0), part(1)], Tiling(grid=(3, 1), overlap=0)
    recipe = make_recipe(full_bundle, "t", references=photos, judge="both", tiling=grid, region_of_interest=left)
    whole = make_recipe(full_bundle, "t", references=photos, judge="both", tiling=grid)
    for region in (right, None):
        with pytest.raises(clipspect.RecipeError, match="in the tiles of another region of interest"):
            with_region(recipe, region)
    assert with_region(recipe, dataclasses.replace(left)).region_of_interest == left
    again = with_photographs_in(Bundle.open(full_bundle), recipe, right, photos)
    with clipspect.load(full_bundle, again) as inspector:
        known = [inspector.inspect(photo).score for photo in photos]
    for able in (
        with_region(whole, right),
        with_region(with_photographs_in(inspector.bundle, recipe, None, photos), right),
    ):
        with clipspect.load(full_bundle, able) as inspector:
            assert [inspector.inspect(photo).score for photo in photos] == pytest.approx(known, abs=1e-6)
    with clipspect.load(full_bundle, dataclasses.replace(recipe, region_of_interest=right)) as inspector:
        assert min(inspector.inspect(photo).score for photo in photos) > 100 * max(known)


def test_limits_are_not_those_of_other_tiles(full_bundle: Path) -> None:
    good = [part(seed) for seed in range(12)]
    with clipspect.load(full_bundle, handmade.make_recipe("tiled", tiling=TILING)) as inspector:
        calibrated = calibrate(inspector, good, anyway=True)
    for tiling in (None, Tiling(size=(40, 48)), Tiling(size=(48, 48), overlap=30)):
        with pytest.raises(clipspect.RecipeError, match="calibrated with another"):
            clipspect.load(full_bundle, dataclasses.replace(calibrated, tiling=tiling))


def test_photographs_of_large_parts_are_taught_in_tiles(full_bundle: Path, tmp_path: Path) -> None:
    taught = teach(full_bundle, "parts", sorted(folder_of(tmp_path / "good", 18).iterdir()), tiling=TILING)
    assert len(taught.references) == 4
    assert taught.recipe.tiling == TILING
    with clipspect.load(full_bundle, taught.recipe) as inspector:
        assert inspector.inspect(part(0)).verdict in {"pass", "uncertain"}


def test_the_commands_take_tiles_and_say_so(
    full_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder_of(tmp_path / "good", 6)
    recipe = full_bundle / "recipes" / "nut.safetensors"
    assert run("recipe", full_bundle, "nut", "--tile", "48") == 0
    assert "seen in           tiles of 48 x 48 pixels, overlapping by 25%" in capsys.readouterr().out
    assert read_recipe(recipe).tiling == TILING
    assert run("recipe", full_bundle, "nut", "--tile-grid", "3x2", "--tile-overlap", "10%", "--force") == 0
    assert read_recipe(recipe).tiling == Tiling(grid=(3, 2), overlap=10)
    assert run("teach", full_bundle, "nut", "--good", tmp_path / "good", "--tile", "50x40", "--force") == 0
    assert read_recipe(recipe).tiling == Tiling(size=(50, 40))
    capsys.readouterr()
    assert run("info", full_bundle) == 0
    assert "seen in tiles of 50 x 40 pixels, overlapping by 25%" in capsys.readouterr().out
    assert run("run", full_bundle, tmp_path / "good", "--recipe", "nut", "--out", tmp_path / "out") == 0
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 6


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--tile", "0"], 2, "expected numbers from 1 as in 960 or 960x640, found '0'"),
        (["--tile", "4by3"], 2, "expected numbers from 1"),
        (["--tile-grid", "4"], 2, "expected numbers from 1 as in 6x4"),
        (["--tile", "9", "--tile-overlap", "80%"], 2, "expected whole per cent from 0% to 75%"),
        (["--tile-overlap", "8%"], 1, "--tile-overlap without tiles"),
        (["--tile", "9", "--tile-grid", "2x2"], 1, "not both"),
        (["--tile-grid", "99x99"], 1, "more than 1000 tiles"),
    ],
)
def test_tiles_that_cannot_be_are_refused_in_one_line(
    options: list[str], status: int, said: str, full_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if status == 2:
        with pytest.raises(SystemExit, match="2"):
            run("recipe", full_bundle, "nut", *options)
        assert said in capsys.readouterr().err.splitlines()[-1]
    else:
        assert run("recipe", full_bundle, "nut", *options) == status
        assert said in error_of(capsys)
    assert not (full_bundle / "recipes" / "nut.safetensors").exists()
