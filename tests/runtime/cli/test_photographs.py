"""Real photographs of cookies, and the embedded demo: too few for 1 %, and verdicts all the same."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from clipspect.recipes.recipe import read_recipe
from support.command_line import error_of, run

COOKIES = Path(__file__).parents[2] / "photos" / "cookies"
Capture = pytest.CaptureFixture[str]


def test_31_cookies_are_too_few_for_1_percent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["--good", COOKIES / "good", "--out", "cookies.safetensors", "--backend", "onnxruntime"]
    assert run("calibrate", "demo", "object", *given) == 1
    words = "with 31 good parts the best that can be promised is 9.2 % (95 %); 299 are needed for 1 %: "
    words += "give more, ask for less (--false-reject-rate, --uncertain), or take the largest score (--anyway)"
    assert error_of(capsys) == f"clipspect: error: {words}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_31_cookies_teach_the_demo_verdicts_and_the_page_says_what_it_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["--good", COOKIES / "good", "--defective", COOKIES / "damaged", "--backend", "openvino"]
    assert run("teach", "demo", "cookies", *given) == 0
    out, err = capsys.readouterr()
    assert "the limits promise less than was asked for: too few good parts: 1 % was asked for and needs 299" in err
    assert "judged by       10 references alone" in out
    assert "at most 13 % of good parts are rejected (95 % sure; the largest of 21)" in out
    recipe = read_recipe(Path("cookies.safetensors"))
    assert recipe.calibration is not None
    assert recipe.limits is not None
    caught = sum(part.score >= recipe.limits.reject for part in recipe.calibration.defects)
    assert caught >= 2
    assert f"{caught} of 8" in Path("cookies.html").read_text()
    photographs = [COOKIES / "good", COOKIES / "damaged"]
    assert run("run", "demo", *photographs, "--recipe", "cookies.safetensors", "--json", "--backend", "openvino") == 0
    verdicts = Counter(json.loads(line)["verdict"] for line in capsys.readouterr().out.splitlines())
    assert set(verdicts) <= {"pass", "fail", "invalid"}
    assert verdicts["fail"] + verdicts["invalid"] >= caught
    assert verdicts["pass"] >= 25
