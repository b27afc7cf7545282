"""Invalid frames at the command line: the table, the CSV file, the record, the sorted folder, notes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipspect.bundle.bundle import Bundle
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from clipspect.recipes.shelf import open_recipe
from support import handmade
from support.command_line import run
from support.watched import Watching, grey_png

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def strict(tiny_bundle: Path) -> Path:
    write_recipe(tiny_bundle / "recipes/object.safetensors", handmade.make_recipe(limits=Limits(0.3, 0.6)))
    return tiny_bundle


def test_run_says_why_a_frame_is_invalid_and_ends_with_status_0(strict: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "cap.png").write_bytes(grey_png(0))
    (tmp_path / "part.png").write_bytes(grey_png(200))
    files = (tmp_path / "cap.png", tmp_path / "part.png")
    assert run("run", strict, *files, "--out", tmp_path / "out") == 0
    out, err = capsys.readouterr()
    reason = "the frame is black (brightness 0, contrast 0)"
    assert [line.split()[1] for line in out.splitlines() if ".png" in line] == ["invalid", "fail"]
    assert reason in out.splitlines()[2]
    assert "1 fail, 1 invalid" in err
    with (tmp_path / "out/results.csv").open() as file:
        assert [(row["verdict"], row["reasons"]) for row in csv.DictReader(file)] == [("invalid", reason), ("fail", "")]
    record = json.loads((tmp_path / "out/results.jsonl").read_text().splitlines()[0])
    assert (record["verdict"], record["reasons"], record["score"]) == ("invalid", [reason], 0)


def test_watch_sorts_invalid_frames_apart_and_counts_them(strict: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "camera", tmp_path / "out"
    folder.mkdir()
    (folder / "cap.png").write_bytes(grey_png(0))
    with Watching(folder, strict, out) as watching:
        watching.wait_for_rows(1)
        assert watching.stop() == 0
    assert (out / "invalid/cap.png").read_bytes() == grey_png(0)
    assert json.loads((out / "health.json").read_text())["verdicts"] == {"invalid": 1}


def test_another_size_is_noted_once_and_in_each_record(tiny_bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    for number in range(12):
        drawn = np.random.default_rng(number).integers(0, 200, (48, 64, 3), np.uint8)
        for folder, size in (("good", (64, 48)), ("twice", (128, 96))):
            path = tmp_path / folder / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(drawn).resize(size, Image.Resampling.NEAREST).save(path)
    assert run("calibrate", tiny_bundle, "object", "--good", tmp_path / "good", "--anyway") == 0
    out, _ = capsys.readouterr()
    assert "checked by brightness, contrast" in out
    assert "not the image's embedding, which this bundle's graphs do not have" in out
    assert set(open_recipe(Bundle.open(tiny_bundle)).calibration.checks) == {  # type: ignore[union-attr]
        "brightness", "contrast", "saturation", "clipped", "sharpness", "layout",
    }  # fmt: skip
    assert run("run", tiny_bundle, tmp_path / "twice", "--json", "--backend", "onnxruntime") == 0
    out, err = capsys.readouterr()
    note = "frames of 128 x 96: calibration and references are 64 x 48"
    assert err.count(note) == 1
    assert [json.loads(line)["notes"] for line in out.splitlines()] == [[note]] * 12
