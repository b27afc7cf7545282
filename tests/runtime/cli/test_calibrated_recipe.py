"""What becomes of limits that `clipspect calibrate` wrote: in a run, elsewhere, with another engine, made again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import clipspect
import clipspect_models
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import RECIPES
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import read_recipe, write_recipe
from clipspect.recipes.shelf import open_recipe
from support import handmade
from support.command_line import error_of, run
from support.grey_parts import RATES, grain, grey, recipe_of

Capture = pytest.CaptureFixture[str]


def test_a_struck_dark_frame_is_invalid_afterwards_also_with_limits_by_hand(
    tiny_bundle: Path, good: Path, capsys: Capture
) -> None:
    """It widens the checks that it is part of, and cannot be struck without making them again."""
    grey(good / "dark.png", 11)
    Image.new("L", (6, 9), 40).save(good / "upright.png")
    for number in range(40):  # of grains: what is black is refused by itself
        grain(good / f"lot {number % 25}/{number:02}.png", 100 + number)
    grain(good / "dark.png", 30)
    judge = ("run", tiny_bundle, good / "dark.png", good / "upright.png", "--json", "--backend", "onnxruntime")

    def verdicts() -> list[str]:
        capsys.readouterr()
        assert run(*judge) == 0
        return [json.loads(line)["verdict"] for line in capsys.readouterr().out.splitlines()]

    strike = ["--strike", good / "dark.png", "--strike", good / "upright.png"]
    assert run("calibrate", tiny_bundle, "object", "--good", good, *RATES) == 0
    assert "invalid" not in verdicts()
    assert run("calibrate", tiny_bundle, "object", *strike) == 1
    assert run("calibrate", tiny_bundle, "object", "--good", good, *RATES, *strike) == 0
    assert verdicts() == ["invalid"] * 2
    assert run("calibrate", tiny_bundle, "object", "--review", 0.9, "--reject", 0.95) == 0
    assert "checked by brightness, " in capsys.readouterr().out
    assert verdicts() == ["invalid"] * 2
    assert run("run", tiny_bundle, good / "lot 0/00.png", "--json", "--backend", "openvino") == 0
    out, err = capsys.readouterr()
    assert (json.loads(out)["verdict"], json.loads(out)["limits"]["reject"]) == ("pass", 0.95)
    assert "widened" not in err


def test_the_record_of_a_run_says_what_the_limits_are_worth(tiny_bundle: Path, good: Path, capsys: Capture) -> None:
    assert run("calibrate", tiny_bundle, "object", "--good", good, "--anyway", "--backend", "onnxruntime") == 0
    capsys.readouterr()
    assert run("run", tiny_bundle, "bad/1.png", "--json", "--backend", "onnxruntime") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["verdict"] == "fail"
    assert record["limits"]["reject_promise"]["rate"] == pytest.approx(1 - 0.05 ** (1 / 40))
    assert record["limits"]["reject_promise"]["asked"] == 0.01
    assert record["map_limit"] == record["limits"]["map"]


def test_a_recipe_that_is_made_again_loses_its_limits_and_keeps_their_history(
    full_bundle: Path, good: Path, capsys: Capture
) -> None:
    assert run("recipe", full_bundle, "nut") == 0
    assert run("calibrate", full_bundle, "nut", "--good", good, *RATES) == 0
    capsys.readouterr()
    assert run("recipe", full_bundle, "nut", "--force") == 0
    assert "replaced; limits that it had are gone" in capsys.readouterr().out
    recipe = open_recipe(Bundle.open(full_bundle), "nut")
    assert (recipe.limits, recipe.calibration) == (None, None)
    set_by, gone = recipe.history
    assert (gone.old, gone.new, gone.why) == (set_by.new, None, "the recipe was made again, with --force")
    assert run("recipe", full_bundle, "nut", "--force") == 0
    assert open_recipe(Bundle.open(full_bundle), "nut").history == recipe.history


def test_a_recipe_outside_the_bundle_is_calibrated_judges_and_is_shown(
    tiny_bundle: Path, good: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clipspect_models, "DEMO_BUNDLE", tiny_bundle)
    before = sorted(tiny_bundle.rglob("*"))
    for name in ("demo", tiny_bundle):
        assert run("calibrate", name, "object", "--good", good, *RATES) == 1
        assert "takes no recipes: give --out NAME.safetensors" in error_of(capsys)
    assert run("calibrate", "demo", "object", "--good", good, *RATES, "--out", "mine/nut.safetensors") == 0
    assert read_recipe(Path("mine/nut.safetensors")).name == "nut"
    assert run("calibrate", "demo", "object", "--good", good, *RATES, "--out", "mine/nut.safetensors") == 1
    assert "mine/nut.safetensors exists: give that path in the place of the recipe's name" in capsys.readouterr().err
    assert run("calibrate", "demo", "mine/nut.safetensors", "--good", good, *RATES, "--why", "again") == 0
    assert [change.why for change in read_recipe(Path("mine/nut.safetensors")).history][1:] == ["again"]
    assert sorted(tiny_bundle.rglob("*")) == before
    capsys.readouterr()
    assert run("run", "demo", "bad", "--recipe", "mine/nut.safetensors", "--json", "--backend", "onnxruntime") == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(record["recipe"]["name"], record["verdict"]) for record in records] == [("nut", "fail")] * 2
    assert run("info", "demo", "--recipe", "mine/nut.safetensors") == 0
    assert "scored by" in capsys.readouterr().out
    with clipspect.load(tiny_bundle, Path("mine/nut.safetensors"), "onnxruntime") as inspector:
        assert inspector.recipe.name == "nut"
    shutil.copy("mine/nut.safetensors", "mine/bolt.safetensors")
    assert run("info", "demo", "--recipe", "mine/bolt.safetensors") == 1
    assert "holds the recipe 'nut': give the file that name again" in error_of(capsys)


def test_a_run_with_another_engine_says_that_the_limits_are_wider(
    tiny_bundle: Path, good: Path, capsys: Capture
) -> None:
    assert run("calibrate", tiny_bundle, "object", "--good", good, *RATES) == 0
    capsys.readouterr()
    assert run("run", tiny_bundle, "bad/1.png", "--json", "--backend", "openvino") == 0
    out, err = capsys.readouterr()
    assert "clipspect: limits of onnxruntime on cpu in fp32, widened by 0.0002: calibrate again for exact ones" in err
    own, used = recipe_of(tiny_bundle).limits, json.loads(out)["limits"]
    assert own is not None
    assert (used["review"], used["reject"]) == pytest.approx((own.review - 2e-4, own.reject + 2e-4))
    assert used["review_promise"] is None


def test_a_damaged_recipe_is_replaced_without_history(full_bundle: Path) -> None:
    path = full_bundle / RECIPES / "nut.safetensors"
    write_recipe(path, handmade.make_recipe("nut", limits=Limits(0.1, 0.2)))
    path.write_bytes(path.read_bytes()[:-1])
    assert run("recipe", full_bundle, "nut", "--force") == 0
    assert read_recipe(path).history == ()
