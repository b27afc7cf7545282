"""A cascade in a real bundle: calibrated, measured, and what a command says of it."""

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
from clipspect.cli import main
from clipspect.frame.region_of_interest import Area, RegionOfInterest
from clipspect.inspection.window_reuse import noise_floor
from clipspect.recipes.shelf import open_recipe
from clipspect_models import DEMO_BUNDLE, DEMO_IMAGES

GOOD = sorted(DEMO_IMAGES.glob("hexagons-*-good.jpg")) + sorted(DEMO_IMAGES.glob("twill-*-good.jpg"))
DEFECTIVE = sorted(DEMO_IMAGES.glob("hexagons-burn.jpg"))


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEMO_BUNDLE, tmp_path / "demo.bundle"))


def test_a_cascade_is_calibrated_with_its_limits_and_what_it_changes_is_measured(demo: Path) -> None:
    with clipspect.load(demo, backend="onnxruntime", verdicts=False) as inspector:
        recipe = clipspect.calibrate(inspector, GOOD, defective=DEFECTIVE, anyway=True, cascade=0.6)
    assert recipe.windows is not None
    cascade = recipe.windows.cascade
    assert cascade is not None
    assert cascade.effect is not None
    effect = cascade.effect
    assert (effect.good, effect.defective) == (len(GOOD), 1)
    assert 0.3 < effect.good_work <= 0.6
    assert effect.defective_work is not None
    assert effect.changed_verdicts == 0
    assert recipe.limits is not None
    with clipspect.load(demo, recipe, "onnxruntime") as inspector:
        assert list(inspector._engine._backends) == ["windows.onnx"]
        found = inspector.inspect(GOOD[0])
        assert recipe.calibration is not None
        assert found.score == pytest.approx(recipe.calibration.parts[0].score, abs=1e-6)
        whole = clipspect.calibrate(inspector, GOOD, anyway=True, cascade=1.0)
    assert whole.windows is None


def test_of_a_region_the_cascade_takes_the_work_that_was_asked_for(demo: Path) -> None:
    width, height = Image.open(GOOD[0]).size
    corner = Area(polygons=(((0, 0), (width // 2, 0), (width // 2, height // 2), (0, height // 2)),))
    with clipspect.load(demo, backend="onnxruntime", verdicts=False) as inspector:
        own = dataclasses.replace(inspector.recipe, region_of_interest=RegionOfInterest((width, height), corner))
        with inspector.with_recipe(own) as of_region:
            recipe = clipspect.calibrate(of_region, GOOD, anyway=True, cascade=0.35)
    assert recipe.windows is not None
    assert recipe.windows.cascade is not None
    assert recipe.windows.cascade.effect is not None
    assert 0.3 < recipe.windows.cascade.effect.good_work < 0.37  # those apart alone take 0.16


def test_a_share_of_work_that_is_none_is_refused(demo: Path) -> None:
    with (
        clipspect.load(demo, backend="onnxruntime", verdicts=False) as inspector,
        pytest.raises(RecipeError, match=r"cascade: 1.5 of the work"),
    ):
        clipspect.calibrate(inspector, GOOD, anyway=True, cascade=1.5)


def test_reuse_is_set_measured_and_taken_off_by_a_command(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    still = np.array(Image.open(GOOD[0]))
    noisy = still.astype(int) + np.random.default_rng(0).integers(-1, 2, still.shape)
    for name, pixels in (("a.png", still), ("b.png", np.clip(noisy, 0, 255).astype(np.uint8))):
        Image.fromarray(pixels).save(tmp_path / name)
    frames = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert main(["reuse", str(demo), "object", "--still", *frames, "--refresh", "25", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["windows"]["reuse"] == {"tolerance": 1, "refresh": 25}
    assert main(["info", str(demo)]) == 0
    assert "windows that have not moved by more than 1 grey levels" in capsys.readouterr().out
    assert main(["reuse", str(demo), "object", "--off"]) == 0
    from clipspect.bundle.bundle import Bundle

    assert open_recipe(Bundle.open(demo)).windows is None
    assert main(["reuse", str(demo), "object", "--still", str(GOOD[0]), str(GOOD[-1])]) == 1
    assert "something moves in them" in capsys.readouterr().err


def test_noise_is_measured_where_the_recipe_looks(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    still = np.array(Image.open(GOOD[0]))
    beside = still.copy()
    beside[200:, 200:] = 0  # outside the crop somebody walks
    for name, pixels in (("a.png", still), ("b.png", beside)):
        Image.fromarray(pixels).save(tmp_path / name)
    frames = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert main(["reuse", str(demo), "object", "--still", *frames]) == 1
    square = "20,20 120,20 120,120 20,120"
    assert main(["roi", str(demo), "object", square, "--mode", "crop", "--photo", frames[0]]) == 0
    capsys.readouterr()
    assert main(["reuse", str(demo), "object", "--still", *frames, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["windows"]["reuse"]["tolerance"] == 0


def test_noise_is_measured_between_frames() -> None:
    frame = np.full((2, 2, 3), 9, np.uint8)
    assert noise_floor([frame, frame + 2, frame - 1]) == 3
    with pytest.raises(RecipeError, match="found 1"):
        noise_floor([frame])


def test_roi_says_what_a_region_saves(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = ["--photo", str(GOOD[0])]
    assert main(["roi", str(demo), "object", "10,10 60,10 60,60 10,60", *photo]) == 0
    assert "% of all windows' on a CPU" in capsys.readouterr().out
    assert main(["roi", str(demo), "object", "2,2 238,2 238,238 2,238", *photo]) == 0
    assert "all windows are encoded: the region alone would take" in capsys.readouterr().out
    assert main(["recipe", str(demo), "photos", "--references", *map(str, GOOD[:2]), "--backend", "onnxruntime"]) == 0
    assert main(["roi", str(demo), "photos", "10,10 60,10 60,60 10,60", *photo]) == 0
    assert "of all windows'" not in capsys.readouterr().out  # photographs alone are compared with no windows
