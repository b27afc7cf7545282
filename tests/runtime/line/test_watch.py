"""`clipspect watch`: what it inspects and when, where images and results go, how it stops, what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from clipspect.bundle.manifest import RECIPES
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from support import handmade, handmade_graphs
from support.command_line import run
from support.watched import PATIENCE_S, Watching, grey_png, rows_of

Capture = pytest.CaptureFixture[str]
# Root reads every file, without these capabilities only its own by their rights.
_CAPABILITIES = "-dac_override,-dac_read_search"
_WITHOUT_OVERRIDE = (
    ("setpriv", f"--bounding-set={_CAPABILITIES}", f"--inh-caps={_CAPABILITIES}") if os.geteuid() == 0 else ()
)


@pytest.fixture
def judging_bundle(tiny_bundle: Path) -> Path:
    """Pass below 100 grey values, fail from 200."""
    recipe = handmade.make_recipe(limits=Limits(review=100 / 255, reject=200 / 255))
    write_recipe(tiny_bundle / RECIPES / "object.safetensors", recipe)
    return tiny_bundle


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


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
    with Watching(folder, tiny_bundle, out) as watching:
        watching.wait_for_rows(1)
        os.rename(folder / "part.png.tmp", folder / "part.png")
        rows = watching.wait_for_rows(2)
        assert watching.stop() == 0
    assert [row["item"]["file"]["name"] for row in rows] == ["z.png", "part.png"]


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


# --- where images go -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["link", "move", "copy"])
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
            assert goal.samefile(folder / name) == (mode != "copy")
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


# --- trouble ---------------------------------------------------------------------------------------------------------


def test_a_folder_that_vanishes_is_waited_for(tiny_bundle: Path, folder: Path, out: Path) -> None:
    (folder / "a.png").write_bytes(grey_png(1))
    with Watching(folder, tiny_bundle, out, "--health", 0.1) as watching:
        watching.wait_for_rows(1)
        os.rename(folder, folder.with_name("unplugged"))
        watching.wait_until(lambda: json.loads((out / "health.json").read_text())["problems"])
        assert "camera: cannot be read (No such file or directory): waiting for it" in watching.said()
        (folder.with_name("unplugged") / "b.png").write_bytes(grey_png(2))
        os.rename(folder.with_name("unplugged"), folder)
        rows = watching.wait_for_rows(2)
        assert watching.stop() == 0
    assert [row["item"]["file"]["name"] for row in rows] == ["a.png", "b.png"]
    assert "clipspect: folder: works again" in watching.err


def test_a_full_disk_is_waited_for_and_nothing_is_lost(tiny_bundle: Path, folder: Path, out: Path) -> None:
    out.mkdir()
    fill = f'mount -t tmpfs -o size=8m none "{out}" && head -c 8200000 /dev/zero > "{out}/fill" && exec "$0" "$@"'
    unshare = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", fill)
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount a small file system (unshare --user --mount)")
    for number in range(300):
        (folder / f"{number}.png").write_bytes(grey_png(1))
    with Watching(folder, tiny_bundle, out, "--sort", "none", "--rotate", "20kB", prefix=unshare) as watching:
        inside = Path(f"/proc/{watching.process.pid}/root{out}")
        watching.wait_until(lambda: "inspection waits; make room" in watching.said())
        assert len(rows_of(inside)) < 300
        (inside / "fill").unlink()
        watching.wait_until(lambda: len(rows_of(inside)) == 300)
        rows = rows_of(inside)
        assert watching.stop() == 0
    assert len({row["id"] for row in rows}) == 300
    assert "works again" in watching.err


def test_a_verdict_folder_that_cannot_be_made_is_told_and_waited_for(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    out.mkdir()
    (out / "unjudged").write_text("a file in the way")
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(grey_png(20))
    with Watching(folder, tiny_bundle, out) as watching:
        watching.wait_until(lambda: "unjudged: File exists: inspection waits" in watching.said())
        (out / "unjudged").unlink()
        watching.wait_for_rows(2)
        assert watching.stop() == 0
    assert files_in(out / "unjudged") == ["a.png", "b.png"]


def test_an_engine_that_fails_while_no_file_comes_ends_it_with_status_1_and_health_says_why(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    (tiny_bundle / "model.onnx").write_bytes(handmade_graphs.failing(handmade.SIDE, handmade.DIM))
    handmade.rewritten(tiny_bundle)
    (folder / "a.png").write_bytes(grey_png(0))
    with Watching(folder, tiny_bundle, out) as watching:
        watching.wait_for_rows(1)
        (folder / "b.png").write_bytes(grey_png(255))
        assert watching.process.wait(PATIENCE_S) == 1
    last = watching.err.splitlines()[-1].removeprefix("clipspect: error: ")
    assert last.startswith("onnxruntime failed on cpu: ")
    health = json.loads((out / "health.json").read_text())
    assert (health["status"], health["inspected"]) == ("offline", 1)
    assert [" ".join(text.split()) for text in health["problems"]] == [last]
    assert [row["item"]["file"]["name"] for row in rows_of(out)] == ["a.png"]


def test_a_part_that_the_engine_answers_infinity_to_is_that_parts_error_and_the_line_goes_on(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    (tiny_bundle / "model.onnx").write_bytes(handmade_graphs.brightness(handmade.SIDE, handmade.DIM, scale=1))
    large = {"text_features": np.full((2, 1, handmade.DIM), 1.6e36, np.float32)}  # times 255: infinity
    write_recipe(handmade.rewritten(tiny_bundle) / RECIPES / "object.safetensors", handmade.make_recipe(tensors=large))
    with Watching(folder, tiny_bundle, out, "--give-up", 1000) as watching:  # it is whole: there is no second try
        for count, (name, value) in enumerate([("a.png", 90), ("b.png", 255), ("c.png", 100)], 1):
            (folder / name).write_bytes(grey_png(value))
            rows = watching.wait_for_rows(count)
        assert watching.stop() == 0
    assert [row["verdict"] for row in rows] == [None] * 3
    assert [row["score"] is None for row in rows] == [False, True, False]
    assert "b.png: onnxruntime on cpu answered NaN or infinity in score" in rows[1]["error"]
    health = json.loads((out / "health.json").read_text())
    assert health["verdicts"] == {"unjudged": 2, "error": 1}
    assert health["problems"] == []


def test_a_file_that_the_system_does_not_give_is_never_an_error_but_told_and_waited_for(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    def problems() -> list[str]:
        file = out / "health.json"
        found: list[str] = json.loads(file.read_text())["problems"] if file.exists() else []
        return found

    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(grey_png(90))
        (folder / name).chmod(0)
    with Watching(folder, tiny_bundle, out, "--give-up", 0.2, "--health", 0.2, prefix=_WITHOUT_OVERRIDE) as watching:
        watching.wait_until(lambda: any("; and 1 more: waiting for it" in text for text in problems()))
        (folder / "c.png").write_bytes(grey_png(100))  # the others are not held up
        assert [row["item"]["file"]["name"] for row in watching.wait_for_rows(1)] == ["c.png"]
        (folder / "b.png").unlink()
        watching.wait_until(lambda: problems() and not any("more" in text for text in problems()))
        assert "a.png: cannot be read now (Permission denied)" in problems()[0]
        (folder / "a.png").chmod(0o644)
        rows = watching.wait_for_rows(2)
        watching.wait_until(lambda: not problems())
        assert watching.stop() == 0
    assert [(row["item"]["file"]["name"], row["error"]) for row in rows] == [("c.png", None), ("a.png", None)]
    told = [line for line in watching.err.splitlines() if line.startswith("clipspect: ") and "cannot be read" in line]
    assert 2 <= len(told) <= 4  # not with every attempt
    assert "clipspect: folder: works again" in watching.err


def test_the_demo_bundle_is_watched_with_under_its_name(folder: Path, out: Path) -> None:
    (folder / "a.png").write_bytes(grey_png(1))
    with Watching(folder, Path("demo"), out) as watching:
        (row,) = watching.wait_for_rows(1)
        assert watching.stop() == 0
    assert (row["bundle"]["method"], row["recipe"]["name"]) == ("winclip", "object")
    assert "recipe 'object' (it has no limits: no verdicts), onnxruntime on cpu" in watching.err
