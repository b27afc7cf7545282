"""`clipspect watch`: what it refuses, before it inspects anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command_line import error_of, run
from support.watched import Watching, grey_png

Capture = pytest.CaptureFixture[str]


def test_a_second_watcher_on_the_same_out_is_refused(
    tiny_bundle: Path, folder: Path, out: Path, capsys: Capture
) -> None:
    with Watching(folder, tiny_bundle, out) as watching:
        watching.wait_until((out / "health.json").exists)
        assert run("watch", folder, "--bundle", tiny_bundle, "--out", out) == 1
        assert f"another clipspect (process {watching.process.pid}) writes there" in error_of(capsys)
        assert watching.stop() == 0


def test_a_folder_that_is_not_there_or_is_the_results_own_is_refused(
    tiny_bundle: Path, folder: Path, out: Path, capsys: Capture
) -> None:
    assert run("watch", folder / "none", "--bundle", tiny_bundle, "--out", out) == 1
    assert "none: no such folder to watch" in error_of(capsys)
    assert run("watch", folder, "--bundle", tiny_bundle, "--out", folder) == 1
    assert "is where results go" in error_of(capsys)


def test_what_is_wrong_with_bundle_or_recipe_is_told_before_anything_is_made(
    tiny_bundle: Path, folder: Path, out: Path, capsys: Capture
) -> None:
    for bundle, recipe, said in ((tiny_bundle, "nut", "no recipe 'nut'"), (folder / "none", "nut", "none")):
        assert run("watch", folder, "--bundle", bundle, "--recipe", recipe, "--out", out) == 1
        assert said in error_of(capsys)
        assert not out.exists()


def test_an_out_that_cannot_be_written_or_has_another_log_is_refused(
    tiny_bundle: Path, folder: Path, out: Path, capsys: Capture
) -> None:
    (folder / "a.png").write_bytes(grey_png(1))
    assert run("watch", folder, "--bundle", tiny_bundle, "--out", folder / "a.png/out") == 1
    assert "cannot be written (Not a directory): choose another --out" in error_of(capsys)
    assert run("run", tiny_bundle, folder, "--out", out) == 0
    capsys.readouterr()
    before = (out / "results.jsonl").read_bytes()
    assert run("watch", folder, "--bundle", tiny_bundle, "--out", out) == 1
    assert "results.jsonl: was not written by clipspect watch or line: choose another --out" in error_of(capsys)
    assert (out / "results.jsonl").read_bytes() == before


def test_a_log_of_an_older_version_is_refused_and_stays_as_it_is(
    tiny_bundle: Path, folder: Path, out: Path, capsys: Capture
) -> None:
    out.mkdir()
    file = {"name": "a.png", "size": 68, "mtime_ns": 1}
    row = {"id": "0" * 32, "file": file, "score": 0.5, "sorted": None, "error": None}
    (out / "results.jsonl").write_text(json.dumps(row) + "\n")
    assert run("watch", folder, "--bundle", tiny_bundle, "--out", out) == 1
    assert "results.jsonl: was written by an older clipspect watch" in error_of(capsys)
    assert (out / "results.jsonl").read_text() == json.dumps(row) + "\n"


def test_moves_to_another_file_system_are_refused_at_once(
    tiny_bundle: Path, folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    if tmp_path.stat().st_dev == folder.stat().st_dev:
        pytest.skip("needs /dev/shm as a file system of its own")
    assert run("watch", folder, "--bundle", tiny_bundle, "--out", tmp_path / "out", "--sort", "move") == 1
    assert "--sort move: " in (message := error_of(capsys))
    assert "or --sort copy" in message
