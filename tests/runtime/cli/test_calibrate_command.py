"""`clipspect calibrate`: what it writes and says, and that it writes nothing where nothing can be promised."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipspect.base.errors import RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import RECIPES
from clipspect.recipes.limits import Limits
from clipspect.recipes.recalibrate import recalibrated
from clipspect.recipes.recipe import write_recipe
from clipspect.recipes.shelf import open_recipe
from support.command_line import error_of, run
from support.grey_parts import RATES, grey, recipe_of

Capture = pytest.CaptureFixture[str]


def test_limits_and_what_they_are_worth_are_written_and_said(tiny_bundle: Path, good: Path, capsys: Capture) -> None:
    assert (
        run("calibrate", tiny_bundle, "object", "--good", good, "--defective", "bad", *RATES, "--report", "r.html") == 0
    )
    out, err = capsys.readouterr()
    assert err == ""
    recipe = recipe_of(tiny_bundle)
    assert recipe.limits is not None
    assert recipe.limits.reject_promise is not None
    lines = dict(re.split(" {2,}", line, maxsplit=1) for line in out.splitlines() if re.match(r"\S.* {2,}\S", line))
    assert lines["recipe"] == str(tiny_bundle / "recipes/object.safetensors")
    assert lines["reject from"] == (
        f"{recipe.limits.reject:.6g}: at most 9.4 % of good parts are rejected (90 % sure; the 2nd largest of 40)"
    )
    assert "are not passed (90 % sure; the 5th largest of 40)" in lines["review from"]
    assert "show any region (90 % sure; the 5th largest of 40)" in lines["regions over"]
    assert "40 good parts, 40 photographs, 0 struck, 2 defective parts beside" in lines["calibrated"]
    assert "onnxruntime on cpu in fp32" in lines["scored by"]
    assert lines["escape rate"].startswith("0 of 2")
    listed = [line.split()[-1] for line in out.splitlines()[-5:]]
    assert listed == [f"{number}/{39 - place}.png" for place, number in enumerate((14, 13, 12, 11, 10))]
    assert "what its verdict is worth" in Path("r.html").read_text()


def test_json_says_the_same(tiny_bundle: Path, good: Path, capsys: Capture) -> None:
    assert run("calibrate", tiny_bundle, "object", "--good", good, *RATES, "--group", r"lot (\d+)", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["limits"] == recipe_of(tiny_bundle).document()["limits"]
    assert len(document["calibration"]["parts"]) == 25
    assert len(document["history"]) == 1


def test_a_struck_file_is_on_record_and_counts_no_more(tiny_bundle: Path, good: Path, capsys: Capture) -> None:
    strike = ["--strike", "good/lot 14/39.png", "--strike", "good/lot 13/38.png"]
    assert run("calibrate", tiny_bundle, "object", "--good", good, *RATES, *strike, "--why", "two were scratched") == 0
    out = capsys.readouterr().out
    assert "38 good parts, 40 photographs, 2 struck" in out
    assert "two were scratched (1 in all)" in out
    assert "39.png" not in out
    calibration = recipe_of(tiny_bundle).calibration
    assert calibration is not None
    assert sum(part.struck for part in calibration.parts) == 2


def test_without_photographs_limits_are_found_again_from_the_scores_that_are_kept(
    tiny_bundle: Path, good: Path, capsys: Capture
) -> None:
    strike = ["--strike", "good/lot 14/39.png"]
    assert run("calibrate", tiny_bundle, "object", "--good", good, *RATES, *strike) == 0
    at_once = recipe_of(tiny_bundle)
    by_hand = ["--review", 0.4, "--reject", 0.5]
    assert run("calibrate", tiny_bundle, "object", *by_hand) == 0
    capsys.readouterr()
    assert run("calibrate", tiny_bundle, "object", *RATES[:6]) == 0
    assert "39 good parts, 40 photographs, 1 struck" in capsys.readouterr().out
    later = recipe_of(tiny_bundle)
    assert (later.limits, later.calibration) == (at_once.limits, at_once.calibration)
    assert later.history[-1].why.startswith("again from 39 kept scores; asked: at most 10 % rejected")
    assert run("calibrate", tiny_bundle, "object", "--false-reject-rate", "40%") == 0  # more than may be not passed
    assert "at most 40 % rejected, 40 % not passed" in recipe_of(tiny_bundle).history[-1].why
    capsys.readouterr()
    with pytest.raises(RecipeError, match="false reject rate: expected more than 0"):
        recalibrated(later, false_reject_rate=0)
    assert run("calibrate", tiny_bundle, "object", "--false-reject-rate", "1%") == 1
    assert "with 39 good parts the best that can be promised is 5.7 % (90 %)" in error_of(capsys)
    assert run("calibrate", tiny_bundle, "object", "--false-reject-rate", "1%", "--anyway") == 0
    assert recipe_of(tiny_bundle).limits.reject_promise.asked == 0.01
    capsys.readouterr()
    for option in (*([*strike, *given] for given in ((), by_hand)), ["--group", "lot"], ["--device", "cpu"]):
        before = recipe_of(tiny_bundle).digest
        assert run("calibrate", tiny_bundle, "object", "--uncertain", "30%", *option) == 1
        assert f"{option[0]} goes with photographs of good parts: give them with --good PATH" in error_of(capsys)
        assert recipe_of(tiny_bundle).digest == before
    write_recipe(tiny_bundle / RECIPES / "object.safetensors", dataclasses.replace(later, calibration=None))
    assert run("calibrate", tiny_bundle, "object", "--uncertain", "30%") == 1
    assert "keeps no scores of good parts: give their photographs with --good PATH" in error_of(capsys)


def test_too_few_parts_write_nothing_unless_anyway(tiny_bundle: Path, good: Path, capsys: Capture) -> None:
    before = (tiny_bundle / "recipes/object.safetensors").read_bytes()
    assert run("calibrate", tiny_bundle, "object", "--good", good, "--report", "r.html") == 1
    words = "with 40 good parts the best that can be promised is 7.2 % (95 %); 299 are needed for 1 %: "
    words += "give more, ask for less (--false-reject-rate, --uncertain), or take the largest score (--anyway)"
    assert error_of(capsys) == f"clipspect: error: {words}\n"
    assert (tiny_bundle / "recipes/object.safetensors").read_bytes() == before
    assert not Path("r.html").exists()
    assert run("calibrate", tiny_bundle, "object", "--good", good, "--anyway") == 0
    out = capsys.readouterr().out
    assert "at most 7.2 % of good parts are rejected (95 % sure; the largest of 40)" in out
    assert "too few good parts: 1 % was asked for and needs 299; with 40 it can be 7.2 %" in out
    assert run("info", tiny_bundle) == 0
    assert "too few good parts: 1 % was asked for" in capsys.readouterr().out


def test_limits_by_hand_promise_nothing_and_keep_the_history(tiny_bundle: Path, good: Path, capsys: Capture) -> None:
    assert run("calibrate", tiny_bundle, "object", "--good", good, *RATES) == 0
    calibrated = recipe_of(tiny_bundle)
    assert calibrated.calibration is not None
    by_hand = ["--review", 0.3, "--reject", 0.6, "--map", 0.4, "--why", "as the customer wants"]
    assert run("calibrate", tiny_bundle, "object", *by_hand) == 0
    assert "nothing is promised: these limits were given by hand" in capsys.readouterr().out
    recipe = recipe_of(tiny_bundle)
    assert recipe.limits == Limits(0.3, 0.6, 0.4)
    assert recipe.calibration == dataclasses.replace(calibrated.calibration, by_hand=True)
    assert [change.why for change in recipe.history][1:] == ["as the customer wants"]
    assert recipe.history[1].old == recipe.history[0].new


def test_what_defective_parts_show_is_in_the_document_and_unknown_without_any(
    tiny_bundle: Path, good: Path, capsys: Capture
) -> None:
    command = ("calibrate", tiny_bundle, "object", "--json")
    assert run(*command, "--good", good, "--defective", "bad", *RATES) == 0
    defects = json.loads(capsys.readouterr().out)["defects"]
    assert (defects["escape_rate"]["count"], defects["escape_rate"]["of"]) == (0, 2)
    assert defects["escape_rate"]["confidence"] == 0.9
    assert defects["escape_rate"]["at_most"] == pytest.approx(1 - 0.1 ** (1 / 2))
    assert "promises nothing" in defects["words"][-1]
    assert run(*command, "--review", "0.25", "--reject", "0.5") == 0
    defects = json.loads(capsys.readouterr().out)["defects"]
    assert (defects["escape_rate"]["count"], defects["escape_rate"]["of"]) == (1, 2)
    assert run(*command, "--good", good, *RATES) == 0
    defects = json.loads(capsys.readouterr().out)["defects"]
    assert (defects["defective_parts"], defects["escape_rate"]) == (0, None)
    assert defects["words"][0].startswith("escape rate: unknown")


def test_references_are_refused_and_estimated(full_bundle: Path, good: Path, capsys: Capture) -> None:
    for number, picture in enumerate(np.random.default_rng(0).integers(0, 256, (4, 4, 4, 3), np.uint8)):
        Image.fromarray(picture.repeat(9, 0).repeat(9, 1)).save(f"colour {number}.png")
    assert run("recipe", full_bundle, "nut", "--like", "object", "--references", "colour *.png") == 0
    shutil.copy("colour 1.png", good / "innocent.png")
    capsys.readouterr()
    assert run("calibrate", full_bundle, "nut", "--good", good, *RATES) == 1
    assert "good/innocent.png is in the gallery of recipe 'nut'" in error_of(capsys)
    assert run("calibrate", full_bundle, "nut", "--good", "colour *.png", "--estimate") == 0
    out = capsys.readouterr().out
    assert "nothing is promised: an estimate from the 4 references, each scored without its own rows" in out
    assert "sure" not in out.partition("escape rate")[0]
    assert open_recipe(Bundle.open(full_bundle), "nut").calibration.estimate


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "give photographs of good parts with --good PATH, or limits by hand"),
        (["--review", "0.5"], "limits by hand: give both --review and --reject"),
        (["--map", "0.5"], "limits by hand: give both --review and --reject"),
        (["--review", "0.5", "--reject", "0.4"], "review 0.5 is above reject 0.4"),
        (["--review", "0.3", "--reject", "0.4", "--good", "good"], "by hand (--review, --reject, --map) or found from"),
        (["--good", "nowhere"], "nowhere: no such file or folder"),
        (["--good", "good", "--uncertain", "0.1%"], "uncertain 0.1 % is below the false reject rate 1 %"),
        (["--good", "good", "spoiled.png"], "spoiled.png: "),
        (["--good", "good", "--out", "nut.bin"], "nut.bin: a recipe's file is called NAME.safetensors"),
        (["--good", "good", "--out", "a;b.safetensors"], "cannot be a recipe's name"),
        (["--good", "good", "--group", "serial(.*)"], "finds no part in this path"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line_and_writes_nothing(
    tiny_bundle: Path, good: Path, capsys: Capture, arguments: list[str], reason: str
) -> None:
    Path("spoiled.png").write_text("no image")
    before = (tiny_bundle / "recipes/object.safetensors").read_bytes()
    assert run("calibrate", tiny_bundle, "object", *arguments) == 1
    assert reason in error_of(capsys)
    assert (tiny_bundle / "recipes/object.safetensors").read_bytes() == before
    assert good.exists()


def test_a_name_of_any_bytes_can_be_calibrated_on(tiny_bundle: Path, good: Path) -> None:
    shutil.copy(good / "lot 0/00.png", good / "caf\udce9.png")
    grey(good / "caf\udce9.png", 70)
    assert run("calibrate", tiny_bundle, "object", "--good", good, *RATES) == 0
    calibration = recipe_of(tiny_bundle).calibration
    assert calibration is not None
    assert calibration.parts[0].name == "good/caf\\udce9.png"
