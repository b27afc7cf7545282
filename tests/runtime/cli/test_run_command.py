"""`clipspect run`: what it prints where, its files, and what it refuses."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

import clipspect
from clipspect.cli import run as run_command
from clipspect.inspection.result import Timings
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from clipspect.sinks.log import Log
from support import handmade
from support.command_line import error_of, run
from support.records import make_record

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def spoiled(image_folder: Path) -> Path:
    """The folder with one more file that is no image."""
    (image_folder / "part9b.png").write_text("not an image")
    return image_folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: empty but for a file `taken` and a folder `empty`, whose only content is hidden."""
    folder = tmp_path / "here"
    (folder / "empty/.hidden").mkdir(parents=True)
    (folder / "taken").touch()
    monkeypatch.chdir(folder)
    return folder


def test_run_prints_a_row_an_image_in_natural_order(tiny_bundle: Path, image_folder: Path, capsys: Capture) -> None:
    assert run("run", tiny_bundle, image_folder) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["score", "verdict", "regions", "ms", "source"]
    names = [os.path.relpath(row.split()[-1], image_folder) for row in rows]
    assert names == ["more/part9.png", "part9.png", "part10.png"]
    assert all(row.split()[:3] == ["1.0000", "-", "1"] for row in rows)


def test_run_says_what_scored_and_why_unless_it_was_named(
    tiny_bundle: Path, image_folder: Path, capsys: Capture
) -> None:
    assert run("run", tiny_bundle, image_folder) == 0
    assert " on cpu (" in capsys.readouterr().err
    assert run("run", tiny_bundle, image_folder, "--backend", "onnxruntime", "--device", "cpu") == 0
    assert capsys.readouterr().err.endswith(", onnxruntime on cpu\n")
    assert run("run", tiny_bundle, image_folder, "--backend", "onnxruntime", "--precision", "bf16") == 1
    assert "precision: onnxruntime computes in that of the graph" in error_of(capsys)


def test_run_json_is_json_lines_and_nothing_else(tiny_bundle: Path, spoiled: Path, capsys: Capture) -> None:
    assert run("run", tiny_bundle, spoiled, "--json") == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 4
    assert all(row.keys() == rows[0].keys() for row in rows)
    assert [(row["schema"], row["item"]["number"]) for row in rows] == [(1, number) for number in range(4)]
    assert {row["item"]["source"] for row in rows} == {str(spoiled)}
    (bad,) = [row for row in rows if row["error"]]
    assert bad["item"]["name"] == str(spoiled / "part9b.png")
    assert bad["score"] is None
    good = next(row for row in rows if not row["error"])
    assert (good["item"]["width"], good["item"]["height"], good["verdict"]) == (64, 48, None)
    assert good["regions"][0]["area"] > 100
    assert set(good["timings_ms"]) == {"decode", "preprocess", "infer", "post"}


@pytest.mark.parametrize("batch", [1, 2, 10])
def test_a_bad_file_is_reported_and_the_others_are_inspected(
    tiny_bundle: Path, spoiled: Path, capsys: Capture, batch: int
) -> None:
    assert run("run", tiny_bundle, spoiled, "--batch", batch) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1 + 3
    assert "part9b.png: not an image" in err
    assert "1 could not be inspected" in err


def test_run_out_writes_json_lines_a_csv_and_overlays(
    tiny_bundle: Path, spoiled: Path, tmp_path: Path, capsys: Capture
) -> None:
    import csv

    out = tmp_path / "results"
    assert run("run", tiny_bundle, spoiled, "--out", out) == 1
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    with (out / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["source"] for row in table] == [row["item"]["name"] for row in rows]
    assert [float(row["score"]) for row in table if row["score"]] == [row["score"] for row in rows if not row["error"]]
    assert [row["error"] for row in table if row["error"]] == [row["error"] for row in rows if row["error"]]
    assert [row["overlay"] for row in table] == [row["files"].get("overlay", "") for row in rows]
    overlays = [row["files"]["overlay"] for row in rows if row["files"]]
    assert len(set(overlays)) == 3
    for overlay in overlays:
        with Image.open(out / overlay) as image:
            image.load()
    assert sorted(path.name for path in out.iterdir()) == ["overlays", "results.csv", "results.jsonl"]
    assert "earlier run" not in capsys.readouterr().err
    assert run("run", tiny_bundle, spoiled, "--out", out) == 1
    assert f"{out}: 3 overlays of an earlier run stay among the new ones" in capsys.readouterr().err


def test_an_interrupted_run_leaves_no_results_that_look_whole(
    tiny_bundle: Path, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    from clipspect.sinks.overlays import Overlays

    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Overlays, "take", interrupt)
    assert run("run", tiny_bundle, image_folder, "--out", tmp_path / "out") == 130
    assert not (tmp_path / "out/results.csv").exists()
    assert (tmp_path / "out/results.csv.partial").exists()
    assert "interrupted" in capsys.readouterr().err


def test_a_verdict_of_fail_is_a_result_not_an_error(tiny_bundle: Path, image_folder: Path, capsys: Capture) -> None:
    recipe = handmade.make_recipe("strict", limits=Limits(0.3, 0.6))
    write_recipe(tiny_bundle / "recipes/strict.safetensors", recipe)
    assert run("run", tiny_bundle, image_folder, "--recipe", "strict") == 0
    out, err = capsys.readouterr()
    assert out.count(" fail ") == 3
    assert "3 fail" in err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["none.png"], "none.png: no such file or folder"),
        (["*.png"], "no images here"),
        (["empty"], "empty: no images here"),
        (["97"], "97: there is no /dev/video97: plug the camera in"),
        (["/dev/video97"], "there is no /dev/video97"),
        (["line.MP4"], "line.MP4: no such video file"),
    ],
)
@pytest.mark.usefixtures("here")
def test_sources_that_hold_no_image_are_one_clear_error(
    tiny_bundle: Path, capsys: Capture, arguments: list[str], reason: str
) -> None:
    assert run("run", tiny_bundle, *arguments) == 1
    assert reason in error_of(capsys)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--recipe", "nut"], "no recipe 'nut'"),
        (["--recipe", "x" * 300], "no recipe 'xxx"),
        (["--backend", "tpu"], "no backend 'tpu'"),
        (["--heat-scale", "1", "0"], "--heat-scale: 1 is not below 0"),
        (["--out", "taken"], "cannot be written"),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_cannot_be_done_is_refused_in_one_line(
    tiny_bundle: Path, image_folder: Path, capsys: Capture, arguments: list[str], reason: str
) -> None:
    assert run("run", tiny_bundle, image_folder, *arguments) == 1
    assert reason in error_of(capsys)


def test_a_file_name_that_is_no_text_is_inspected_and_written(
    tiny_bundle: Path, image_folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    name = os.fsdecode(b"part\xff.png")
    (image_folder / "part9.png").rename(image_folder / name)
    for output in ([], ["--json"], ["--out", tmp_path / "out"]):
        assert run("run", tiny_bundle, image_folder / name, *output) == 0
    assert json.loads((tmp_path / "out/results.jsonl").read_text())["item"]["name"] == str(image_folder / name)
    assert "part" in capsys.readouterr().out


def test_a_run_of_a_camera_that_lasts_for_months_says_its_rate_and_does_not_grow(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_command, "_MOST_TIMES", 3)
    monkeypatch.setattr(run_command, "perf_counter", iter([0.0, 5.0]).__next__)
    summary = run_command._Summary()
    for number in range(50):
        summary.add(make_record(number, timings_ms=Timings(0.0, 0.0, float(number), 0.0)))
    assert len(summary._milliseconds) == 3
    with clipspect.load(tiny_bundle, backend="onnxruntime") as inspector:
        said = summary.line(inspector, None, None)
    assert said.startswith("clipspect: 50 pass, median 48.0 ms an image, 10.0 images a second, ")


@pytest.mark.parametrize("option", ["--out", "--sink"])
def test_the_log_of_a_watched_folder_is_refused_and_stays_as_it_is(
    tiny_bundle: Path, image_folder: Path, tmp_path: Path, capsys: Capture, option: str
) -> None:
    path = tmp_path / "out/results.jsonl"
    path.parent.mkdir()
    with closing(Log(path)) as log:
        log.take(log.linked(make_record(0)))
    before = path.read_bytes()
    place = path.parent if option == "--out" else f"jsonl:{path}"
    assert run("run", tiny_bundle, image_folder, option, place, "--backend", "onnxruntime") == 1
    assert f"{path}: is the log of clipspect watch or line: choose another place" in error_of(capsys)
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".watch", "results.jsonl"]


@pytest.mark.usefixtures("here")
def test_a_recipe_whose_file_lies_here_is_named_when_its_ending_was_left_out(
    tiny_bundle: Path, image_folder: Path, capsys: Capture
) -> None:
    Path("nut.safetensors").touch()
    for name, hint in (
        ("nut", "; or the file nut.safetensors, by its whole name\n"),
        ("bolt", "there are: 'object'\n"),
    ):
        assert run("run", tiny_bundle, image_folder, "--recipe", name) == 1
        assert error_of(capsys).endswith(hint)
