"""`clipspect line`: several sources over one engine, each with its recipe and its results; switched by a message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clipspect.base.errors import ClipspectError
from clipspect.line.audit import audit
from clipspect.line.check import check_line
from clipspect.line.line import Line
from clipspect.line.plan import read_plan
from support.lined import Lining, drop, engine, quick, running, write_plan
from support.watched import PATIENCE_S, rows_of, wait_for

VERDICTS = {"strict": "fail", "lenient": "pass"}  # of a grey value of 50


def test_each_source_has_its_recipe_its_results_and_its_part_of_one_health_document(
    bundle: Path, folders: dict[str, Path], place: Path, out: Path
) -> None:
    (folders["side"] / "left" / "deep").mkdir(parents=True)
    sources = {
        "top": quick(folders["top"], recipe="strict", sort="move"),
        "side": quick(folders["side"], recipe="lenient", recipes={"left": "strict"}, overlays=["fail"]),
    }
    plan = write_plan(place / "line.toml", sources, **engine(bundle, out))
    for folder in (*folders.values(), folders["side"] / "left" / "deep"):
        drop(folder, 3)  # the same names, sizes, perhaps times, in both
    with Lining(plan, out) as line:
        line.wait_until(lambda: len(rows_of(out / "top")) == 3 and len(rows_of(out / "side")) == 6)
        line.wait_until(lambda: sum(source["inspected"] for source in line.health()["sources"].values()) == 9)
        health = line.health()
        assert line.stop() == 0
    top, side = rows_of(out / "top"), rows_of(out / "side")
    assert {(row["item"]["source"], row["recipe"]["name"], row["verdict"]) for row in top} == {
        ("top", "strict", "fail")
    }
    assert {
        (row["item"]["source"], "/" in row["item"]["file"]["name"], row["recipe"]["name"], row["verdict"])
        for row in side
    } == {("side", False, "lenient", "pass"), ("side", True, "strict", "fail")}
    assert not any(folders["top"].iterdir())
    assert len(list((out / "top/fail").iterdir())) == 3
    assert (out / "side/fail/left/deep/1.png").read_bytes() == (folders["side"] / "left/deep/1.png").read_bytes()
    assert {row["files"].get("overlay", "none")[:18] for row in side} == {"none", "overlays/left/deep"}
    for name in folders:
        assert audit([out / name / "results.jsonl"]).whole
    assert (health["status"], health["problems"]) == ("online", [])
    assert {name: source["state"] for name, source in health["sources"].items()} == dict.fromkeys(folders, "running")
    assert health["sources"]["top"]["verdicts"] == {"fail": 3}
    assert health["sources"]["side"]["verdicts"] == {"pass": 3, "fail": 3}
    assert health["sources"]["side"]["recipe"]["name"] == "lenient"
    assert health["sources"]["side"]["recipes"]["left"]["name"] == "strict"
    assert "clipspect: top: inspecting with recipe 'strict', onnxruntime on cpu" in line.err


def test_a_camera_with_few_frames_does_not_wait_for_the_backlog_of_another(
    bundle: Path, folders: dict[str, Path], place: Path, out: Path
) -> None:
    sources = {name: quick(folder, sort="none", recipe="strict") for name, folder in folders.items()}
    plan = write_plan(place / "line.toml", sources, **engine(bundle, out))
    drop(folders["top"], 200)
    drop(folders["side"], 10)
    with running(plan):
        wait_for(lambda: len(rows_of(out / "top")) == 200)
    top, side = rows_of(out / "top"), rows_of(out / "side")
    assert len(side) == 10
    before = sum(row["time"] <= side[-1]["time"] for row in top)
    assert before <= 60  # turn by turn it would be 10; their folders are not read in the same moment


def test_a_switch_by_a_call_drops_no_frame_and_judges_none_twice_and_a_restart_keeps_it(
    bundle: Path, folders: dict[str, Path], place: Path, out: Path
) -> None:
    sources = {name: quick(folder, recipe="strict", sort="none") for name, folder in folders.items()}
    path = write_plan(place / "line.toml", sources, **engine(bundle, out, health=60))
    with running(path) as line:
        for number in range(10):
            for folder in folders.values():
                drop(folder, 20, 20 * number)
            report = line.use_recipe("top", "lenient" if number % 2 else "strict")
            wait_for(lambda number=number: len(rows_of(out / "top")) >= 20 * number)
        wait_for(lambda: all(len(rows_of(out / name)) == 200 for name in folders))
        with pytest.raises(ClipspectError, match="'tpo': no source has that name; did you mean 'top'"):
            line.use_recipe("tpo", "strict")
        with pytest.raises(ClipspectError, match="no recipe 'nut'"):
            line.use_recipe("top", "nut")
    for name in folders:
        rows = rows_of(out / name)
        assert len({row["id"] for row in rows}) == len(rows) == 200
        assert {(row["recipe"]["name"], row["verdict"]) for row in rows} <= set(VERDICTS.items())
    assert len({row["recipe"]["name"] for row in rows_of(out / "top")}) == 2
    assert {row["recipe"]["name"] for row in rows_of(out / "side")} == {"strict"}
    assert report["name"] == "lenient"

    with Line(read_plan(path)) as line:
        assert line.load()["top"].recipe.name == "lenient"
    sources["top"]["recipe"] = "object"  # whoever writes another into the file means it
    with Line(read_plan(write_plan(path, sources, **engine(bundle, out)))) as line:
        assert {name: inspector.recipe.name for name, inspector in line.load().items()} == {
            "top": "object",
            "side": "strict",
        }


def test_check_opens_everything_says_what_is_wrong_and_writes_nothing(
    bundle: Path, folders: dict[str, Path], place: Path, out: Path
) -> None:
    sources = {
        "top": quick(folders["top"], recipe="strict"),
        "side": quick(folders["side"], recipe="nut", recipes={"left": "strict"}),
        "rear": {"source": "drawn:3", "recipe": "lenient"},
        "door": {"source": "missing:3", "recipe": "lenient"},
    }
    drop(folders["top"], 3)
    plan = write_plan(place / "line.toml", sources, **engine(bundle, out))
    with Lining(plan, out, "--check", fault="cameras") as line:
        assert line.process.wait(PATIENCE_S) == 1
    assert "3 parts of the line cannot be used" in line.err
    assert not out.exists()
    del sources["door"]
    sources["side"] = quick(folders["side"], recipe="strict")
    plan = write_plan(place / "line.toml", sources, **engine(bundle, out))
    with Lining(plan, out, "--check", fault="cameras") as line:
        assert line.process.wait(PATIENCE_S) == 0
    assert not out.exists()


def test_check_finds_a_folder_that_another_source_sorts_into_as_the_start_does(
    bundle: Path, folders: dict[str, Path], place: Path, out: Path
) -> None:
    (out / "top/pass/in").mkdir(parents=True)
    sources = {"top": quick(folders["top"], recipe="strict"), "side": quick(out / "top/pass/in", recipe="strict")}
    plan = read_plan(write_plan(place / "line.toml", sources, **engine(bundle, out)))
    wrong = [finding for finding in check_line(plan) if finding.wrong]
    assert [finding.what for finding in wrong] == ["side"]
    with pytest.raises(ClipspectError, match="is where results go") as caught, Line(plan):
        pass
    assert str(caught.value) == wrong[0].text


def test_seconds_between_two_health_documents_can_be_any(bundle: Path, place: Path, out: Path) -> None:
    source = {"source": str(place / "photos"), "recipe": "strict"}
    (place / "photos").mkdir()
    drop(place / "photos", 1)
    with Line(read_plan(write_plan(place / "line.toml", {"top": source}, **engine(bundle, out, health=1e300)))) as line:
        line.load()
        line.run()
    assert json.loads((out / "health.json").read_text())["status"] == "offline"


def test_a_second_line_with_the_same_out_is_refused(
    bundle: Path, folders: dict[str, Path], place: Path, out: Path
) -> None:
    plans = [
        write_plan(place / f"{name}.toml", {name: quick(folders[name], recipe="strict")}, **engine(bundle, out))
        for name in folders
    ]
    with (
        Line(read_plan(plans[0])),
        pytest.raises(ClipspectError, match=r"another clipspect \(process"),
        Line(read_plan(plans[1])),
    ):
        pass


def test_one_source_needs_no_name_and_is_then_what_watch_is(bundle: Path, folders: dict[str, Path], out: Path) -> None:
    path = out.with_name("line.toml")
    path.write_text(
        f'bundle = "{bundle}"\nout = "{out}"\nbackend = "onnxruntime"\n'
        f'[[sources]]\nsource = "folder:{folders["top"]}"\nrecipe = "strict"\nsettle = 0.1\n'
    )
    drop(folders["top"], 1)
    with running(path):
        wait_for(lambda: rows_of(out))
    assert json.loads((out / "health.json").read_text())["verdicts"] == {"fail": 1}
    assert (out / "fail/0.png").exists()
