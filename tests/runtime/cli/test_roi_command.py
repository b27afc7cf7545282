"""`clipspect roi`: what it writes into a recipe, what it draws, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clipspect
from clipspect.base.errors import RecipeError
from clipspect.cli.roi_areas import crosses_itself
from clipspect.frame.region_of_interest import Area, RegionOfInterest
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import Recipe, read_recipe, write_recipe
from support import handmade
from support.command_line import error_of, run

Capture = pytest.CaptureFixture[str]
SQUARE = "16,12 48,12 48,36 16,36"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(handmade.spotted()).save(path)
    return path


def mask(path: Path, size: tuple[int, int] = (64, 48), box: tuple[int, int, int, int] = (0, 0, 32, 48)) -> Path:
    image = Image.new("L", size)
    image.paste(255, box)
    image.save(path)
    return path


def written(bundle: Path) -> Recipe:
    return read_recipe(bundle / "recipes" / "object.safetensors")


def region_of(bundle: Path) -> RegionOfInterest:
    region = written(bundle).region_of_interest
    assert region is not None
    return region


def test_polygons_and_masks_together_are_the_region(
    tiny_bundle: Path, photo: Path, tmp_path: Path, capsys: Capture
) -> None:
    left = mask(tmp_path / "left.png", box=(0, 0, 8, 48))
    ignored = "20,14 24,14 24,30 20,30"
    assert run("roi", tiny_bundle, "object", SQUARE, left, "--ignore", ignored, "--photo", photo) == 0
    expected = np.zeros((48, 64), bool)
    expected[12:36, 16:48] = expected[:, :8] = True
    expected[14:30, 20:24] = False
    np.testing.assert_array_equal(region_of(tiny_bundle).drawn, expected)
    out = capsys.readouterr().out
    assert "judged: 1 polygon and a mask, ignored: 1 polygon" in out
    assert "mask: the model sees the whole frame" in out


def test_the_region_is_drawn_on_the_photograph(tiny_bundle: Path, photo: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn.png"
    assert run("roi", tiny_bundle, "object", SQUARE, "--photo", photo, "--out", drawn, "--mode", "crop") == 0
    before, after = (np.asarray(Image.open(path).convert("RGB")).astype(int) for path in (photo, drawn))
    assert after.shape == before.shape
    np.testing.assert_array_equal(after[16:32, 20:44], before[16:32, 20:44])
    assert (after[40:, 56:].mean(), after[:4].mean()) < (before[40:, 56:].mean() / 2,) * 2
    assert region_of(tiny_bundle).mode == "crop"


def test_a_region_is_shown_and_cleared(tiny_bundle: Path, photo: Path, capsys: Capture) -> None:
    assert run("roi", tiny_bundle, "object") == 0
    assert "the whole frame is judged" in capsys.readouterr().out
    assert run("roi", tiny_bundle, "object", SQUARE, "--photo", photo) == 0
    digest = written(tiny_bundle).digest
    capsys.readouterr()
    assert run("roi", tiny_bundle, "object", "--show", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["region_of_interest"]["judged"]["polygons"] == [[[16, 12], [48, 12], [48, 36], [16, 36]]]
    assert document["judged_share"] == 0.25
    assert run("info", tiny_bundle) == 0
    assert "25 % of a frame of 64 x 48" in capsys.readouterr().out
    assert written(tiny_bundle).digest == digest
    assert run("roi", tiny_bundle, "object", "--clear") == 0
    assert written(tiny_bundle).region_of_interest is None


def test_limits_go_with_the_region_that_they_spoke_of(tiny_bundle: Path, photo: Path, capsys: Capture) -> None:
    path = tiny_bundle / "recipes" / "object.safetensors"
    write_recipe(path, dataclasses.replace(written(tiny_bundle), limits=Limits(0.4, 0.6)))
    assert run("roi", tiny_bundle, "object", SQUARE, "--photo", photo) == 0
    said = capsys.readouterr().out
    assert "limits: dropped" in said
    assert f"clipspect calibrate {tiny_bundle} object --good FOLDER" in said
    recipe = written(tiny_bundle)
    assert recipe.limits is None
    assert recipe.history[-1].old == {"review": 0.4, "reject": 0.6, "map": None}
    with clipspect.load(tiny_bundle, backend="onnxruntime") as inspector:
        assert inspector.inspect(photo).verdict is None
    write_recipe(path, dataclasses.replace(recipe, limits=Limits(0.4, 0.6)))
    assert run("roi", tiny_bundle, "object", SQUARE) == 0  # the same again
    assert written(tiny_bundle).limits == Limits(0.4, 0.6)


def test_a_recipe_that_is_made_again_keeps_its_region(full_bundle: Path, photo: Path) -> None:
    assert run("roi", full_bundle, "object", SQUARE, "--photo", photo) == 0
    region = region_of(full_bundle)
    assert run("recipe", full_bundle, "object", "--force", "--backend", "onnxruntime") == 0
    assert region_of(full_bundle) == region


def test_references_are_seen_in_the_box_of_a_crop(full_bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    photos = [tmp_path / f"good{place}.png" for place in range(3)]
    for place, path in enumerate(photos):
        Image.fromarray(np.roll(handmade.spotted(spot=120 + place), place, axis=1)).save(path)
    engine = "--backend", "onnxruntime"
    assert run("recipe", full_bundle, "nut", "--references", *photos, *engine) == 0
    words = "roi", full_bundle, "nut", SQUARE, "--photo", photos[0], "--mode", "crop"
    capsys.readouterr()
    assert run(*words) == 1
    assert "its references were seen whole" in error_of(capsys)
    assert run(*words, "--references", *photos, *engine) == 0
    recipe = read_recipe(full_bundle / "recipes" / "nut.safetensors")
    assert recipe.region_of_interest is not None
    assert recipe.region_of_interest.mode == "crop"
    with clipspect.load(full_bundle, recipe, "onnxruntime") as inspector:
        assert inspector.inspect(photos[0]).peak < 1e-6  # what it remembers it sees again
    capsys.readouterr()
    assert run("roi", full_bundle, "nut", "--clear") == 1
    said = error_of(capsys)
    assert "its references were seen in a region's box, and frames would be seen whole" in said
    assert "choose the mode mask" not in said  # that would be refused, too
    assert run("roi", full_bundle, "nut", "--clear", "--references", *photos, *engine) == 0
    assert read_recipe(full_bundle / "recipes" / "nut.safetensors").region_of_interest is None


def test_a_part_that_shifts_is_followed(tiny_bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    photo, shifted = tmp_path / "photo.png", tmp_path / "shifted.png"
    scene = np.full((64, 64, 3), 30, np.uint8)
    scene[20:40, 24:44] = (
        np.random.default_rng(0).integers(60, 200, (10, 10, 1), dtype=np.uint8).repeat(2, 0).repeat(2, 1)
    )
    Image.fromarray(scene).save(photo)
    Image.fromarray(np.roll(scene, (-6, 10), axis=(0, 1))).save(shifted)
    square = "22,18 46,18 46,42 22,42"
    assert run("roi", tiny_bundle, "object", square, "--photo", photo, "--align", "20%") == 0
    assert "up to 12 pixels across and 12 down off are followed" in capsys.readouterr().out
    with clipspect.load(tiny_bundle, backend="onnxruntime") as inspector:
        one, other, lost = inspector.inspect_batch([photo, shifted, np.roll(scene, 20, axis=1)])
    np.testing.assert_array_equal(np.roll(one.anomaly_map > 0, (-6, 10), axis=(0, 1)), other.anomaly_map > 0)
    assert other.score == pytest.approx(one.score, abs=1e-6)
    assert lost.verdict == "invalid"


BAD = [
    ((SQUARE,), "in pixels of a frame whose size is not known here: give such a frame with --photo FILE"),
    (("0,0 65,0 0,9", "--photo", "photo.png"), "the corner 65,0 is outside of the frame of 64 x 48"),
    (("-1,0 60,0 0,9", "--photo", "photo.png"), "the corner -1,0 is outside"),
    (("0,0 5,5", "--photo", "photo.png"), "2 different corners: give three at least"),
    (("0,0 5.5,5 7,8", "--photo", "photo.png"), "'5.5,5' is no corner: write whole pixels"),
    (("0,0 10,10 20,20", "--photo", "photo.png"), "the region of interest is empty, the polygons hold no pixel"),
    ((SQUARE, "--ignore", SQUARE, "--photo", "photo.png"), "is empty, all of it is ignored"),
    (("other.png", "--photo", "photo.png"), "other.png is 32 x 24, photo.png is 64 x 48: all must have the frame's"),
    (("smooth.png",), "of 3072 pixels are neither black (0) nor white (255)"),
    (("black.png",), "black.png: the mask is black: draw what is meant in white"),
    (("photo.png", "--photo", "photo.png"), "photo.png: 2880 of 3072 pixels are neither black (0) nor white"),
    (("colour.png",), "a mask is black and white, this image has colours"),
    (("missing.png",), "missing.png: no such file"),
    (("--mode", "crop"), "--mode belongs to a region: give its polygons or masks again"),
    ((SQUARE, "--clear"), "--clear takes no region: leave out an area"),
    ((SQUARE, "--align", "5"), "--align needs the frame that parts are compared with"),
    ((SQUARE, "--out", "x.png"), "--out draws on a photograph"),
    ((SQUARE, "--photo", "photo.png", "--out", "x.jpg"), "the picture is a PNG"),
    (("1,1 2,1 2,2 1,2", "--photo", "photo.png"), "no pixel of the model's 32 x 32 lies in the region: choose --mode"),
    ((SQUARE, "--photo", "photo.png", "--align", "1%"), "a smaller shift is none: give a larger reach"),
    ((SQUARE, "--photo", "photo.png", "--align", "33"), "parts cannot lie 33 pixels off in a frame of 64 x 48"),
    ((SQUARE, "--photo", "photo.png", "--align", "9" * 30), "pixels off in a frame of 64 x 48: give half of its"),
    (("0,0 8,0 8,6 0,6", "--photo", "photo.png", "--align", "9"), "photo.png does not find itself"),
    ((SQUARE, "--photo", "photo.png", "--align", "9", "--mode", "crop"), "a crop is not aligned"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=[" ".join(map(str, words))[:40] for words, _ in BAD])
def test_what_is_no_region_is_refused_in_one_line_and_changes_nothing(
    tiny_bundle: Path,
    photo: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(photo.parent)
    mask(Path("other.png"), (32, 24), (0, 0, 9, 9))
    mask(Path("half.png")).rename("smooth.png")
    Image.open("smooth.png").rotate(20, Image.Resampling.BICUBIC).save("smooth.png")
    Image.new("1", (64, 48)).save("black.png")
    Image.new("RGB", (64, 48), (255, 0, 0)).save("colour.png")
    before = (tiny_bundle / "recipes" / "object.safetensors").read_bytes()
    assert run("roi", tiny_bundle, "object", *words) == 1
    assert message in error_of(capsys)
    assert (tiny_bundle / "recipes" / "object.safetensors").read_bytes() == before
    assert not Path("x.jpg").exists()


def test_a_polygon_that_crosses_itself_is_filled_by_a_rule_that_is_said(
    tiny_bundle: Path, photo: Path, capsys: Capture
) -> None:
    assert run("roi", tiny_bundle, "object", "0,0 60,40 60,0 0,40", "--photo", photo) == 0
    assert "crosses itself: what it goes around twice is outside (even-odd rule)" in capsys.readouterr().out
    assert not crosses_itself(((0, 0), (10, 0), (10, 10), (0, 10)))
    assert crosses_itself(((0, 0), (10, 0), (10, 10), (5, 0)))


def test_the_demo_takes_a_region_in_a_file_of_its_own(tmp_path: Path, photo: Path, capsys: Capture) -> None:
    assert run("roi", "demo", "object", SQUARE, "--photo", photo) == 1
    error = error_of(capsys)
    assert "the demo bundle is part of the installation" in error
    own = tmp_path / "object.safetensors"
    shutil.copyfile(error.split("copy ")[1].split(" to a folder")[0], own)
    assert run("roi", "demo", own, SQUARE, "--photo", photo) == 0
    assert read_recipe(own).region_of_interest is not None
    with pytest.raises(RecipeError):
        RegionOfInterest((64, 48), Area((((0, 0), (1, 1)),)))
