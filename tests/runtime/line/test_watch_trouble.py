"""`clipspect watch` in trouble: what fails is told and waited for, or is one part's error; nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from clipspect.bundle.manifest import RECIPES
from clipspect.recipes.recipe import write_recipe
from support import handmade, handmade_graphs
from support.watched import PATIENCE_S, WITHOUT_OVERRIDE, Watching, files_in, grey_png, rows_of


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


def on_a_disk_with_little_room(out: Path, room: int) -> tuple[str, ...]:
    """What a command begins with, for which `out` is a file system of 8 MB with so many bytes left beside a file."""
    out.mkdir()
    mount = f'mount -t tmpfs -o size=8m none "{out}"'
    fill = f'head -c {(8 << 20) - room} /dev/zero > "{out}/fill"'
    unshare = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f'{mount} && {fill} && exec "$0" "$@"')
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount a small file system (unshare --user --mount)")
    return unshare


def test_a_full_disk_is_waited_for_and_nothing_is_lost(tiny_bundle: Path, folder: Path, out: Path) -> None:
    unshare = on_a_disk_with_little_room(out, 188_608)
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


@pytest.mark.parametrize("room", [0, 8192])
def test_a_disk_that_is_full_at_the_start_is_waited_for(tiny_bundle: Path, folder: Path, out: Path, room: int) -> None:
    (folder / "a.png").write_bytes(grey_png(1))
    prefix = on_a_disk_with_little_room(out, room)
    with Watching(folder, tiny_bundle, out, "--sort", "none", prefix=prefix) as watching:
        watching.wait_until(lambda: "or make room: the start waits for it" in watching.said())
        inside = Path(f"/proc/{watching.process.pid}/root{out}")
        (inside / "fill").unlink()
        watching.wait_until(lambda: len(rows_of(inside)) == 1)
        assert watching.stop() == 0
    assert f"clipspect: {out}{'/.watch/index.sqlite' if room else ''}: cannot be written" in watching.err
    assert "clipspect: start: works again" in watching.err


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
    with Watching(folder, tiny_bundle, out, "--give-up", 0.2, "--health", 0.2, prefix=WITHOUT_OVERRIDE) as watching:
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
