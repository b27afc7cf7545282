"""`clipspect watch`: what it inspects and when, where images and results go, how it stops, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from clipspect.bundle.manifest import RECIPES
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from clipspect.sinks.records import read_records
from support import handmade
from support.command_line import run
from support.watched import Watching, files_in, grey_png, rows_of

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def judging_bundle(tiny_bundle: Path) -> Path:
    """Pass below 100 grey values, fail from 200."""
    recipe = handmade.make_recipe(limits=Limits(review=100 / 255, reject=200 / 255))
    write_recipe(tiny_bundle / RECIPES / "object.safetensors", recipe)
    return tiny_bundle


# --- what is inspected -----------------------------------------------------------------------------------------------


def test_every_image_gets_one_line_the_record_of_run_with_the_files_identity(
    tiny_bundle: Path, folder: Path, out: Path, capsys: Capture
) -> None:
    (folder / "before.png").write_bytes(grey_png(51))
    (folder / "day 2").mkdir()
    with Watching(folder, tiny_bundle, out) as watching:
        watching.wait_for_rows(1)
        (folder / "day 2/after.png").write_bytes(grey_png(102))
        rows = watching.wait_for_rows(2)
        assert watching.stop() == 0
    assert [row["item"]["file"]["name"] for row in rows] == ["before.png", "day 2/after.png"]
    assert [row["score"] for row in rows] == pytest.approx([0.2, 0.4])
    status = (folder / "day 2/after.png").stat()
    assert rows[1]["item"]["file"] == {
        "name": "day 2/after.png",
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ctime_ns": status.st_ctime_ns,
    }
    assert rows[1]["time"].endswith("+00:00")
    assert run("run", tiny_bundle, folder, "--json") == 0
    plain = json.loads(capsys.readouterr().out.splitlines()[0])
    assert plain.keys() == rows[0].keys()
    of_the_file = {"id", "time", "item", "files", "timings_ms", "chain"}
    assert {key: plain[key] for key in plain.keys() - of_the_file} == {
        key: rows[0][key] for key in rows[0].keys() - of_the_file
    }


def test_what_is_hidden_unfinished_by_its_name_a_link_or_no_image_is_left_alone(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    (folder / ".thumbnails").mkdir()
    for name in (".part.png", "part.png.tmp", "part.png.part", "notes.txt", ".thumbnails/part.png"):
        (folder / name).write_bytes(grey_png(1))
    (folder / "link.png").symlink_to("elsewhere.png")
    (folder / "z.png").write_bytes(grey_png(2))
    os.utime(folder / "notes.txt", (5, 5))  # so old that nobody renames it any more
    for name in ("part.png.tmp", "part.png.part"):  # written just now, however slow this machine is
        os.utime(folder / name, (time.time() + 3600,) * 2)
    with Watching(folder, tiny_bundle, out) as watching:
        watching.wait_for_rows(1)
        os.rename(folder / "part.png.tmp", folder / "part.png")
        rows = watching.wait_for_rows(2)
        assert watching.stop() == 0
    assert [row["item"]["file"]["name"] for row in rows] == ["z.png", "part.png"]
    assert json.loads((out / "health.json").read_text())["left_alone"] == 1


def test_a_file_is_overwritten_with_a_new_part_and_both_pictures_are_kept(
    judging_bundle: Path, folder: Path, out: Path
) -> None:
    with Watching(folder, judging_bundle, out, "--sort", "move") as watching:
        for count, value in enumerate((10, 20, 250), 1):
            (folder / "image.png").write_bytes(grey_png(value))
            rows = watching.wait_for_rows(count)
            watching.wait_until(lambda: not any(folder.iterdir()))
        assert watching.stop() == 0
    assert [row["verdict"] for row in rows] == ["pass", "pass", "fail"]
    assert len({row["files"]["sorted"] for row in rows}) == 3
    assert [(out / row["files"]["sorted"]).read_bytes() for row in rows] == [grey_png(10), grey_png(20), grey_png(250)]
    assert files_in(folder) == []


def test_a_new_part_of_the_same_name_size_and_time_has_a_record_of_its_own(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    with Watching(folder, tiny_bundle, out, "--sort", "copy") as watching:
        for rows, value in enumerate((51, 102), 1):  # of a camera whose clock begins anew
            (out.parent / "new.png").write_bytes(grey_png(value).ljust(200, b"\0"))
            os.utime(out.parent / "new.png", (5, 5))
            os.rename(out.parent / "new.png", folder / "part.png")
            watching.wait_for_rows(rows)
    records = list(read_records(out / "results.jsonl"))
    assert [record.score for record in records] == pytest.approx([51 / 255, 102 / 255])
    assert len({record.id for record in records}) == 2
    files = [record.item.file for record in records]
    assert len({file and (file.name, file.size, file.mtime_ns) for file in files}) == 1
    assert len({file and file.ctime_ns for file in files}) == 2
    assert 0 < (records[1].latency_ms or 0) < 1e6  # the first was perhaps there when the watch began


def test_a_file_that_stops_growing_is_an_error_in_the_end_and_inspected_when_it_is_completed(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    content = grey_png(255)
    with Watching(folder, tiny_bundle, out, "--sort", "move") as watching, (folder / "slow.png").open("wb") as file:
        file.write(content[:-20])
        file.flush()
        (bad,) = watching.wait_for_rows(1)
        assert bad["score"] is None
        assert "slow.png: damaged or cut short" in bad["error"]
        assert bad["files"]["sorted"] == "error/slow.png"
        assert (folder / "slow.png").exists()  # the camera goes on writing it
        file.write(content[-20:])
        file.flush()
        good = watching.wait_for_rows(2)[1]
        assert watching.stop() == 0
    assert (good["score"], good["error"], good["files"]["sorted"]) == (1.0, None, "unjudged/slow.png")
    assert files_in(folder) == []


def test_a_file_that_pauses_for_less_than_give_up_is_no_error(tiny_bundle: Path, folder: Path, out: Path) -> None:
    content = grey_png(255)
    (folder / "slow.png").write_bytes(content[:-20])
    with Watching(folder, tiny_bundle, out, "--give-up", 600) as watching:
        (folder / "quick.png").write_bytes(content)
        watching.wait_for_rows(1)
        with (folder / "slow.png").open("ab") as file:
            file.write(content[-20:])
        rows = watching.wait_for_rows(2)
    assert [(row["item"]["file"]["name"], row["error"]) for row in rows] == [("quick.png", None), ("slow.png", None)]


def test_a_file_of_a_time_that_no_clock_shows_is_inspected_and_its_record_read_back(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    (folder / "far.png").write_bytes(grey_png(1))
    os.utime(folder / "far.png", (3e11, 3e11))  # the year 11476; a disk can make it 2446
    for count in (1, 2):
        with Watching(folder, tiny_bundle, out) as watching:
            watching.wait_for_rows(count)
            assert watching.stop() == 0
        (folder / "next.png").write_bytes(grey_png(1))
    far, near = (record.item for record in read_records(out / "results.jsonl"))
    assert (far.name, far.captured_at) == (str(folder / "far.png"), None)
    assert near.captured_at is not None
    assert (out / "invalid/far.png").exists()


# --- where images go -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["move", "copy"])
def test_images_are_sorted_by_verdict(judging_bundle: Path, folder: Path, out: Path, mode: str) -> None:
    names = {"a.png": 50, "b.png": 150, "more/c.png": 250}
    (folder / "more").mkdir()
    for name, value in names.items():
        (folder / name).write_bytes(grey_png(value))
    (folder / "d.png").write_text("not an image")
    with Watching(folder, judging_bundle, out, "--sort", mode) as watching:
        rows = {row["item"]["file"]["name"]: row for row in watching.wait_for_rows(4)}
        assert watching.stop() == 0
    expected = {"a.png": "pass", "b.png": "uncertain", "more/c.png": "fail", "d.png": "error"}
    assert {name: row["files"]["sorted"] for name, row in rows.items()} == {n: f"{v}/{n}" for n, v in expected.items()}
    assert rows["d.png"]["verdict"] is None
    for name, row in rows.items():
        goal = out / row["files"]["sorted"]
        assert goal.stat().st_mtime_ns == row["item"]["file"]["mtime_ns"]
        if mode == "move" and row["error"] is None:
            assert not (folder / name).exists()
        else:
            assert not goal.samefile(folder / name)
            assert goal.read_bytes() == (folder / name).read_bytes()


def test_without_limits_images_are_unjudged_and_with_sort_none_they_stay(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    (folder / "a.png").write_bytes(grey_png(50))
    with Watching(folder, tiny_bundle, out) as watching:
        (row,) = watching.wait_for_rows(1)
        assert watching.stop() == 0
    assert (row["verdict"], row["files"]["sorted"]) == (None, "unjudged/a.png")
    other = out.with_name("other")
    with Watching(folder, tiny_bundle, other, "--sort", "none") as watching:
        (row,) = watching.wait_for_rows(1)
        assert watching.stop() == 0
    assert row["files"] == {}
    assert files_in(other) == [
        ".watch/chain.json",
        ".watch/drift.json",
        ".watch/index.sqlite",
        "health.json",
        "results.jsonl",
    ]


# --- health and stopping ---------------------------------------------------------------------------------------------


def test_health_is_a_line_on_stderr_and_a_file(judging_bundle: Path, folder: Path, out: Path) -> None:
    for number, value in enumerate((20, 30, 255)):
        (folder / f"{number}.png").write_bytes(grey_png(value))
    (folder / "bad.png").write_text("not an image")
    with Watching(folder, judging_bundle, out, "--health", 0.1) as watching:
        watching.wait_for_rows(4)
        watching.wait_until(lambda: json.loads((out / "health.json").read_text())["inspected"] == 4)
        online = json.loads((out / "health.json").read_text())
        assert watching.stop() == 0
    lines = [json.loads(line) for line in watching.err.splitlines() if line.startswith("{")]
    assert (lines[0]["status"], lines[0]["inspected"]) == ("online", 0)
    assert lines[-1] == json.loads((out / "health.json").read_text())
    assert (online["status"], lines[-1]["status"]) == ("online", "offline")
    assert lines[-1]["verdicts"] == {"pass": 2, "fail": 1, "error": 1}
    assert lines[-1]["latency_p50_ms"] > 100  # it has settled first
    assert (lines[-1]["backlog"], lines[-1]["problems"]) == (0, [])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_cleanly_in_the_middle_of_a_backlog(
    tiny_bundle: Path, folder: Path, out: Path, number: int, status: int
) -> None:
    for name in range(400):
        (folder / f"{name}.png").write_bytes(grey_png(20))
    with Watching(folder, tiny_bundle, out) as watching:
        watching.wait_for_rows(5)
        assert watching.stop(number) == status
    assert "Traceback" not in watching.err
    rows = rows_of(out)
    assert len(rows) < 400
    assert files_in(out / "unjudged") == sorted(row["item"]["file"]["name"] for row in rows)
    health = json.loads((out / "health.json").read_text())
    assert (health["status"], health["inspected"]) == ("offline", len(rows))
    with Watching(folder, tiny_bundle, out) as watching:
        rows = watching.wait_for_rows(400)
    assert len({row["id"] for row in rows}) == len(rows) == 400


def test_the_demo_bundle_is_watched_with_under_its_name(folder: Path, out: Path) -> None:
    (folder / "a.png").write_bytes(grey_png(1))
    with Watching(folder, Path("demo"), out) as watching:
        (row,) = watching.wait_for_rows(1)
        assert watching.stop() == 0
    assert (row["bundle"]["method"], row["recipe"]["name"]) == ("winclip", "object")
    assert "recipe 'object' (it has no limits: no verdicts), onnxruntime on cpu" in watching.err
