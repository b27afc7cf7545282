"""`clipspect teach`: from a folder of good photographs to verdicts."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clipspect_models
from clipspect.bundle.bundle import Bundle
from clipspect.recipes.recipe import read_recipe
from clipspect.recipes.shelf import open_recipe
from support.command_line import error_of, run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With good/, 30 pictures of 16 colours each, and bad/, two of one bright colour that no part has."""
    monkeypatch.chdir(tmp_path)
    drawn = np.random.default_rng(0).integers(0, 250, (30, 4, 4, 3), np.uint8)
    for folder in ("good", "bad"):
        Path(folder).mkdir()
    for number, picture in enumerate(drawn):
        Image.fromarray(picture.repeat(12, 0).repeat(16, 1)).save(f"good/{number:02}.png")
    for number in range(2):
        Image.new("RGB", (64, 48), (255, 255, 255 - number)).save(f"bad/{number}.png")
    return tmp_path


def test_a_folder_becomes_a_recipe_that_judges_and_a_page(full_bundle: Path, capsys: Capture) -> None:
    given = [
        "--good",
        "good",
        "--defective",
        "bad",
        "--object",
        "metal nut",
        "--judge",
        "both",
        "--backend",
        "onnxruntime",
    ]
    assert run("teach", full_bundle, "nut", *given) == 0
    out, err = capsys.readouterr()
    recipe = open_recipe(Bundle.open(full_bundle), "nut")
    assert recipe.judge == "both"
    page = (full_bundle / "recipes/nut.html").read_text()
    assert "what its verdict is worth" in page
    assert "metal nut" in out
    assert "10 references" in out
    assert "at most 14 % of good parts are rejected (95 % sure; the largest of 20)" in out
    assert "escape rate" in out
    words = "the limits promise less than was asked for: too few good parts: 1 % was asked for and needs 299"
    assert (
        f"clipspect: {words}; with 20 it can be 14 %; give 448 in all, since references take a third of them\n" == err
    )
    assert f"inspect with: clipspect run {full_bundle} SOURCE --recipe nut" in out
    assert run("run", full_bundle, "good", "bad", "--recipe", "nut", "--json", "--backend", "onnxruntime") == 0
    verdicts = [json.loads(line)["verdict"] for line in capsys.readouterr().out.splitlines()]
    assert set(verdicts[:30]) <= {"pass", "uncertain", "fail"}
    assert verdicts[30:] == ["invalid"] * 2


def test_what_is_said_to_be_caught_is_what_a_run_fails(full_bundle: Path, capsys: Capture) -> None:
    drawn = np.random.default_rng(1).integers(0, 250, (4, 4, 4, 3), np.uint8)
    for number, picture in enumerate(drawn):  # unlike any reference; and bad/0.png and 1.png, white
        Image.fromarray(picture.repeat(12, 0).repeat(16, 1)).save(f"bad/other {number}.png")
    given = ["--good", "good", "--defective", "bad", "--backend", "onnxruntime"]
    assert run("teach", full_bundle, "nut", *given, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    recipe = open_recipe(Bundle.open(full_bundle), "nut")
    assert recipe.calibration is not None
    assert run("run", full_bundle, "bad", "--recipe", "nut", "--json", "--backend", "onnxruntime") == 0
    verdicts = Counter(json.loads(line)["verdict"] for line in capsys.readouterr().out.splitlines())
    defects, not_failed = document["defects"], document["defects"]["not_failed"]
    assert (defects["defective_parts"], defects["invalid_parts"]) == (6, verdicts["invalid"])
    assert verdicts["invalid"] >= 2
    assert document["failed_by"][recipe.judge] == verdicts["fail"] == not_failed["of"] - not_failed["count"]
    assert defects["escape_rate"]["count"] == verdicts["pass"]


def test_the_demo_is_taught_into_the_current_folder(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(clipspect_models, "DEMO_BUNDLE", tiny_bundle)
    before = sorted(tiny_bundle.rglob("*"))
    assert run("teach", "demo", "cookies", "--good", "good", "--backend", "onnxruntime") == 0
    assert "inspect with: clipspect run demo SOURCE --recipe cookies.safetensors" in capsys.readouterr().out
    assert Path("cookies.html").exists()
    assert read_recipe(Path("cookies.safetensors")).limits is not None
    assert run("run", "demo", "bad", "--recipe", "cookies.safetensors", "--json", "--backend", "onnxruntime") == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["verdict"] for record in records] == ["invalid"] * 2
    assert sorted(tiny_bundle.rglob("*")) == before


def test_what_is_there_is_replaced_with_force_alone_and_its_history_stays(tiny_bundle: Path, capsys: Capture) -> None:
    out = ["--out", "mine/bolt.safetensors"]
    given = ["teach", tiny_bundle, "nut", "--good", "good", "--backend", "onnxruntime", *out]
    assert run(*given) == 0
    capsys.readouterr()
    assert run(*given) == 1
    assert "mine/bolt.safetensors exists: choose another name, or replace it with --force" in error_of(capsys)
    assert run(*given, "--force", "--report", "page.html", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["name"], document["references"], document["report"]) == ("bolt", [], "page.html")
    first, gone, second = read_recipe(Path("mine/bolt.safetensors")).history
    assert (first.new, gone.new, second.old) == (gone.old, None, None)
    assert gone.why == "taught again, with --force"
    assert second.new is not None
    assert second.new == document["history"][-1]["new"]
    assert Path("page.html").exists()


def test_taught_again_it_keeps_its_tiles_and_region_unless_told(tiny_bundle: Path, capsys: Capture) -> None:
    given = ["teach", tiny_bundle, "nut", "--good", "good", "--backend", "onnxruntime"]
    path = tiny_bundle / "recipes/nut.safetensors"
    assert run(*given, "--tile-grid", "2x1") == 0
    assert run("roi", tiny_bundle, "nut", "4,4 60,4 60,44 4,44", "--photo", "good/00.png") == 0
    before = read_recipe(path)
    capsys.readouterr()
    assert run(*given, "--force") == 0
    assert "seen in" in capsys.readouterr().out
    again = read_recipe(path)
    assert again.tiling == before.tiling is not None
    assert again.region_of_interest == before.region_of_interest is not None
    assert run(*given, "--force", "--no-tiles") == 0
    assert read_recipe(path).tiling is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nut", "--good", "nowhere"], "nowhere: no such file or folder"),
        (["nut", "--good", "good", "spoiled.png"], "spoiled.png: "),
        (["../nut", "--good", "good"], "cannot be a recipe's name"),
        (["nut", "--good", "good", "--references", "30"], "30 good parts are too few for 30 references"),
        (["nut", "--good", "good", "good copy"], "the same photograph twice: "),
    ],
)
def test_what_cannot_be_taught_is_refused_in_one_line_and_leaves_nothing(
    full_bundle: Path, capsys: Capture, arguments: list[str], reason: str
) -> None:
    Path("spoiled.png").write_text("no image")
    Path("good copy").mkdir()
    Image.open("good/03.png").save("good copy/other name.bmp")
    before = sorted((full_bundle / "recipes").iterdir())
    assert run("teach", full_bundle, *arguments) == 1
    assert reason in error_of(capsys)
    assert sorted((full_bundle / "recipes").iterdir()) == before
