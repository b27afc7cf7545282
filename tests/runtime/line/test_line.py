"""`clipspect line`: several sources over one engine, each with its recipe and its results; switched by a message."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipspect.base.errors import ClipspectError
from clipspect.bundle.manifest import RECIPES
from clipspect.frame.item import Item
from clipspect.line import feed
from clipspect.line.audit import audit
from clipspect.line.check import check_line
from clipspect.line.line import Line
from clipspect.line.plan import read_plan
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from clipspect.sources import registry
from demo.belt import GATE, Belt, video, write_video_of
from support import handmade
from support.lined import Lining, quick, write_plan
from support.watched import PATIENCE_S, grey_png, rows_of, wait_for

LIMITS = {"strict": Limits(review=10 / 255, reject=20 / 255), "lenient": Limits(review=200 / 255, reject=220 / 255)}
VERDICTS = {"strict": "fail", "lenient": "pass"}  # of a grey value of 50


@pytest.fixture
def bundle(tiny_bundle: Path) -> Path:
    for name, limits in LIMITS.items():
        write_recipe(tiny_bundle / RECIPES / f"{name}.safetensors", handmade.make_recipe(name, limits=limits))
    return tiny_bundle


@pytest.fixture
def folders(place: Path) -> dict[str, Path]:
    found = {name: place / name for name in ("top", "side")}
    for folder in found.values():
        folder.mkdir()
    return found


def engine(bundle: Path, out: Path, **changes: Any) -> dict[str, Any]:
    return {"bundle": bundle, "out": out, "backend": "onnxruntime", "threads": 1, "health": 0.1, **changes}


def drop(folder: Path, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        (folder / f"{number}.png").write_bytes(grey_png(50))


@contextlib.contextmanager
def running(plan: Path) -> Iterator[Line]:
    """A line in a thread of this process."""
    with Line(read_plan(plan)) as line:
        line.load()
        thread = threading.Thread(target=line.run)
        thread.start()
        try:
            yield line
        finally:
            line.stop()
            thread.join(PATIENCE_S)
        assert not thread.is_alive()


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


def test_frames_of_a_camera_have_their_numbers_and_the_line_ends_when_all_sources_have(
    bundle: Path, place: Path, out: Path
) -> None:
    table = out / "side.csv"
    sources = {
        "top": {"source": "drawn:30", "recipe": "strict"},
        "side": {"source": "drawn:10", "recipe": "lenient", "overlays": ["pass", "invalid"], "sinks": [f"csv:{table}"]},
    }
    plan = write_plan(place / "line.toml", sources, **engine(bundle, out))
    for runs in (1, 2):
        with Lining(plan, out, "--json", fault="cameras") as line:
            assert line.process.wait(PATIENCE_S) == 0
        rows = rows_of(out / "top")
        assert [row["item"]["number"] for row in rows] == [*range(30)] * runs
        assert {(row["item"]["source"], row["item"]["dropped"]) for row in rows} == {("top", 0), ("top", 1)}
        assert audit([out / "top/results.jsonl"]).whole
        assert line.health()["sources"]["top"]["state"] == "ended"
        assert line.health()["sources"]["top"]["dropped"] == 15
        assert "clipspect: top: drawn:30 has ended after 30 frames: no more come" in line.err
        assert len({row["files"]["overlay"] for row in rows_of(out / "side")}) == 10 * runs
        assert len(list((out / "side/overlays").iterdir())) == 10 * runs
    assert len(table.read_text().splitlines()) == 1 + 10


def test_parts_that_pass_a_gate_have_one_record_each(bundle: Path, place: Path, out: Path) -> None:
    belt = Belt([False] * 3)
    film = write_video_of(place / "belt.mp4", list(video(belt)))
    gate = ",".join(map(str, GATE))
    plan = write_plan(
        place / "line.toml",
        {"belt": {"source": str(film), "recipe": "strict", "gate": gate}},
        **engine(bundle, out),
    )
    with Line(read_plan(plan)) as line:
        line.load()
        line.run()
    spans = [row["item"]["span"] for row in rows_of(out / "belt")]
    assert [span["part"] for span in spans] == [0, 1, 2]
    assert all(span["first"]["number"] < span["last"]["number"] for span in spans)


def _parts_then_failure(source: str, skip: object) -> Iterator[Item]:
    """A camera that shows two parts, then fails, each time that it is opened."""
    for number, value in enumerate([0, 200, 200, 0, 0, 0, 200, 200, 0, 0, 0]):
        yield Item(source, number, None, np.full((32, 32), value, np.uint8))
    raise OSError("the cable was pulled")


def test_parts_and_frames_of_a_camera_that_is_opened_again_go_on_counting(
    bundle: Path, place: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.BUILT_IN_SOURCES, "belt", _parts_then_failure)
    monkeypatch.setattr(feed, "_PAUSE_S", 0.01)
    source = {"source": "belt:1", "recipe": "strict", "gate": "4,4,16,16", "policy": "queue:50"}
    with running(write_plan(place / "line.toml", {"belt": source}, **engine(bundle, out))):
        wait_for(lambda: len(rows_of(out / "belt")) >= 4)
    spans = [row["item"]["span"] for row in rows_of(out / "belt")][:4]
    assert [span["part"] for span in spans] == [0, 1, 2, 3]
    assert [span["first"]["number"] for span in spans] == [1, 6, 12, 17]


def test_frames_that_all_have_one_number_have_a_record_each(bundle: Path, place: Path, out: Path) -> None:
    source = {"source": "unnumbered:20", "recipe": "strict"}
    with Lining(write_plan(place / "line.toml", {"top": source}, **engine(bundle, out)), out, fault="cameras") as line:
        assert line.process.wait(PATIENCE_S) == 0
    assert len(rows_of(out / "top")) == 20


def test_images_that_are_there_do_not_count_what_the_line_has_drawn_among_them(bundle: Path, place: Path) -> None:
    (place / "photos").mkdir()
    drop(place / "photos", 2)
    source = {"source": str(place / "photos"), "recipe": "strict", "overlays": ["fail"]}
    plan = write_plan(place / "line.toml", {"top": source}, **engine(bundle, place / "photos/out"))
    for runs in (1, 2):
        with Line(read_plan(plan)) as line:
            line.load()
            line.run()
        rows = rows_of(place / "photos/out/top")
        assert [row["item"]["name"] for row in rows] == [str(place / f"photos/{n}.png") for n in (0, 1)] * runs
        assert len(list((place / "photos/out/top/overlays").iterdir())) == 2 * runs


def test_a_camera_that_fails_is_told_and_opened_again_and_the_others_go_on(
    bundle: Path, folders: dict[str, Path], place: Path, out: Path
) -> None:
    sources = {"top": {"source": "flaky:1", "recipe": "strict"}, "side": quick(folders["side"], recipe="strict")}
    plan = write_plan(place / "line.toml", sources, **engine(bundle, out))
    drop(folders["side"], 5)
    with Lining(plan, out, fault="cameras") as line:
        line.wait_until(lambda: len(rows_of(out / "top")) >= 3)
        line.wait_until(lambda: line.health()["problems"])
        (problem,) = line.health()["problems"]
        line.wait_until(lambda: len(rows_of(out / "top")) >= 6)
        assert len(rows_of(out / "side")) == 5
        drop(folders["side"], 5, 5)
        line.wait_until(lambda: len(rows_of(out / "side")) == 10)
        assert line.stop() == 0
    assert problem.startswith("top: flaky:1: the source failed (OSError: the cable was pulled 1 times)")
    assert "it is opened again in 1 s" in problem
    assert "clipspect: top: source: works again" in line.err
    rows = rows_of(out / "top")
    assert [row["item"]["number"] for row in rows] == [*range(len(rows))]


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
