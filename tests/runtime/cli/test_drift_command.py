"""`clipspect drift` on logs of drawn lines: what it says, its status, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from clipspect.inspection.record import RecipeRecord, Record
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import Recipe, write_recipe
from support.command_line import error_of, run
from support.drawn_records import drawn_records
from support.pages import Page
from support.records import chained, write_lines


def _log(path: Path, *, rise: float = 0.0, at: int = 400, parts: int = 800) -> Path:
    scores = np.random.default_rng(11).normal(10, 0.5, parts)
    scores[at:] += rise
    write_lines(path, chained(drawn_records(scores)))
    return path


def test_a_line_without_a_change_has_status_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("drift", _log(tmp_path / "results.jsonl")) == 0
    out, err = capsys.readouterr()
    assert out == (
        "no drift found in 800 parts\nwhile nothing changes, at most 1 % of runs of 10,000 parts are said to drift\n"
    )
    assert err == ""


def test_a_change_has_status_1_and_is_told_with_its_part_its_time_and_its_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("drift", _log(tmp_path / "results.jsonl", rise=1)) == 1
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("drift since about part 40")
    assert "(2026-11-02 12:4" in first
    assert first.endswith("; look at the part")
    assert "score rose by 1" in first


def test_json_holds_every_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("drift", _log(tmp_path / "results.jsonl", rise=-1), "--json", "--false-alarm", "0.1%") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["parts"], document["drift"], document["false_alarm"]) == (800, True, 0.001)
    (recipe,) = document["recipes"]
    (change,) = recipe["changes"]
    assert change["quantity"] == "score"
    assert change["after"] < change["before"]
    assert abs(change["part"] - 401) < 5


def test_parts_of_rotated_files_count_and_are_numbered_through(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = np.random.default_rng(12).normal(10, 0.5, 800)
    scores[400:] += 1
    records = chained(drawn_records(scores))
    write_lines(tmp_path / "results-2026-11-02T12-00-00.000Z.jsonl", records[:300])
    write_lines(tmp_path / "results.jsonl", records[300:])
    assert run("drift", tmp_path / "results.jsonl", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["parts"] == 800
    assert abs(document["recipes"][0]["changes"][0]["part"] - 401) < 5


def test_each_recipe_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(13)
    records: list[Record] = [
        *drawn_records(rng.normal(10, 0.5, 100)),
        *drawn_records(rng.normal(20, 0.5, 100), recipe=RecipeRecord("bolt", "c" * 64), start=100),
    ]
    write_lines(tmp_path / "results.jsonl", records)
    assert run("drift", tmp_path / "results.jsonl") == 0
    assert capsys.readouterr().out.startswith(
        "recipe 'nut': no drift found in 100 parts\nrecipe 'bolt': no drift found in 100 parts\n"
    )


def test_the_page_has_a_chart_of_the_score_and_one_of_what_is_not_passed(
    tmp_path: Path,
) -> None:
    page, log = tmp_path / "drift.html", tmp_path / "results.jsonl"
    scores = np.random.default_rng(14).normal(10, 0.5, 800)
    scores[400:] += 1
    write_lines(log, drawn_records(scores, limits=Limits(11.5, 12)))
    assert run("drift", log, "--chart", page) == 1
    read = Page(page.read_text())
    read.require_self_contained()
    assert read.headings == ["Drift", "Changes", "Score: moving average", "Share of parts that are not passed"]
    assert len(read.charts) == 2
    assert "Drift since about part 40" in read.words
    assert re.search(r"share not passed rose \(\S+ % to \S+ %\)", read.words)
    assert re.search(r"middle \S+ %, limits \S+ % and \S+ %", read.words)


def test_a_recipe_that_did_not_judge_the_log_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = Recipe("nut", "winclip", "nut", "d" * 64, {"text_features": np.zeros((2, 1, 4), np.float32)})
    path = tmp_path / "nut.safetensors"
    write_recipe(path, recipe)
    assert run("drift", _log(tmp_path / "results.jsonl"), "--recipe", path) == 1
    assert "did not judge the last parts" in error_of(capsys)


def test_a_log_without_records_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.jsonl").write_text("")
    assert run("drift", tmp_path / "results.jsonl") == 1
    assert "holds no records" in error_of(capsys)


@pytest.mark.parametrize("rate", ["0", "100%", "x", "-1%", "nan"])
def test_a_rate_that_is_none_is_a_usage_error(rate: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        run("drift", tmp_path / "results.jsonl", "--false-alarm", rate)
    assert stop.value.code == 2
