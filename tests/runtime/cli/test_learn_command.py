"""`clipspect learn`: from answers beside a log to a better recipe, which is written only when told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipspect.bundle.bundle import Bundle
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.shelf import open_recipe
from support.command_line import error_of, run

Capture = pytest.CaptureFixture[str]
RATES = ["--false-reject-rate", "6%", "--uncertain", "6%", "--confidence", "90%", "--backend", "onnxruntime"]


def grain(path: Path, value: int) -> None:
    pixels = np.random.default_rng(value).integers(value - 20, value + 1, (6, 9), np.uint8)
    pixels[2, 3] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.repeat(8, 0).repeat(8, 1)).save(path)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path, capsys: Capture) -> Path:
    """40 parts that calibrated, and results.jsonl of three that came after: 142, 146 and 150 fail."""
    monkeypatch.chdir(tmp_path)
    for value in range(100, 140):
        grain(Path(f"good/{value}.png"), value)
    for value in (142, 146, 150):
        grain(Path(f"line/{value}.png"), value)
    assert run("calibrate", tiny_bundle, "object", "--good", "good", *RATES) == 0
    inspected(tiny_bundle, capsys, "results.jsonl")
    return tmp_path


def inspected(bundle: Path, capsys: Capture, log: str) -> None:
    capsys.readouterr()
    assert run("run", bundle, "line", "--json") == 0
    Path(log).write_text(capsys.readouterr().out)


def id_of(log: str, number: int) -> str:
    return str(json.loads(Path(log).read_text().splitlines()[number])["id"])


def recipe_of(bundle: Path) -> Recipe:
    return open_recipe(Bundle.open(bundle), "object")


def test_it_shows_before_and_after_and_writes_only_when_told(tiny_bundle: Path, capsys: Capture) -> None:
    before = recipe_of(tiny_bundle)
    for number, answer in enumerate(("good", "good", "defect")):
        assert run("feedback", "results.jsonl", id_of("results.jsonl", number), answer) == 0
    capsys.readouterr()
    assert run("learn", tiny_bundle, "object", "results.jsonl") == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].split() == ["now", "limits"]
    assert lines[1].split("fail")[1].split() == ["2", "of", "2", "1", "of", "2"]  # 142 passes at the limit of 146
    assert lines[3].split("pass")[1].split() == ["0", "of", "1", "0", "of", "1"]
    assert "not tried: gallery: the recipe has no references" in out
    assert "recommended: limits" in out
    assert "nothing is written: look at the figures, then give --apply" in out
    assert recipe_of(tiny_bundle).digest == before.digest
    assert run("learn", tiny_bundle, "object", "results.jsonl", "--apply") == 0
    assert f"written: {tiny_bundle}/recipes/object.safetensors" in capsys.readouterr().out
    after = recipe_of(tiny_bundle)
    assert after.limits is not None
    assert before.limits is not None
    assert after.limits.reject > before.limits.reject
    assert after.limits.reject_promise == before.limits.reject_promise
    change = after.history[-1]
    assert (change.before, change.new) == (
        before.digest,
        {"review": after.limits.review, "reject": after.limits.reject, "map": after.limits.map},
    )
    assert all(id_of("results.jsonl", number) in change.why for number in range(3))
    inspected(tiny_bundle, capsys, "later.jsonl")
    assert [json.loads(line)["verdict"] for line in Path("later.jsonl").read_text().splitlines()] == [
        "pass", "pass", "fail",
    ]  # fmt: skip
    assert run("learn", tiny_bundle, "object", "results.jsonl", "--by", "limits") == 1
    assert "too few answers: no part was answered to be good" in error_of(capsys)  # both are learned from


def test_answers_of_another_recipe_or_none_are_one_clear_line(tiny_bundle: Path, capsys: Capture) -> None:
    assert run("learn", tiny_bundle, "object", "results.jsonl") == 1
    assert "too few answers: there are none; clipspect feedback" in error_of(capsys)
    assert run("feedback", "results.jsonl", id_of("results.jsonl", 0), "good") == 0
    assert run("calibrate", tiny_bundle, "object", "--false-reject-rate", "10%", "--uncertain", "10%") == 0
    capsys.readouterr()
    assert run("learn", tiny_bundle, "object", "results.jsonl") == 0  # the recipe of before, with other rates
    assert run("recipe", tiny_bundle, "other", "--like", "object") == 0
    assert run("calibrate", tiny_bundle, "other", "--good", "good", *RATES) == 0
    capsys.readouterr()
    assert run("learn", tiny_bundle, "other", "results.jsonl") == 1
    assert "none of 1 answers is of recipe 'other'" in error_of(capsys)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--out", "new.safetensors"], "--out says where --apply writes"),
        (["--defective", "line"], "--defective goes with --good"),
        (["--by", "gallery"], "nothing can be learned: gallery: the recipe has no references"),
        (["--good", "nowhere"], "nowhere: no such file"),
        (["reults.jsonl"], "reults.jsonl: no such file: expected the results.jsonl"),
    ],
)
def test_what_does_not_go_together_is_refused(tiny_bundle: Path, capsys: Capture, given: list[str], words: str) -> None:
    assert run("feedback", "results.jsonl", id_of("results.jsonl", 0), "good") == 0
    capsys.readouterr()
    assert run("learn", tiny_bundle, "object", "results.jsonl", *given) == 1
    assert words in error_of(capsys)


def test_the_document_has_it_all_and_another_file_can_be_written(tiny_bundle: Path, capsys: Capture) -> None:
    assert run("feedback", "results.jsonl", id_of("results.jsonl", 0), "good") == 0
    assert run("feedback", "results.jsonl", id_of("results.jsonl", 1), "good") == 0
    Path("line/142.png").rename("142.png")
    capsys.readouterr()
    assert run("learn", tiny_bundle, "object", "results.jsonl") == 1
    assert "line/142.png: the picture of answer" in error_of(capsys)
    Path("142.png").rename("line/142.png")
    before = recipe_of(tiny_bundle).digest
    assert run("learn", tiny_bundle, "object", "results.jsonl", "--apply", "--out", "new.safetensors", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["recommended"], document["written"]) == ("limits", "new.safetensors")
    assert document["now"]["failed"] == 2
    assert document["proposals"]["limits"]["counts"]["failed"] == 1
    assert recipe_of(tiny_bundle).digest == before
    assert Path("new.safetensors").exists()
