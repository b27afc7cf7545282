"""examples/line.toml runs as it is written: a folder and a video over one engine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clipspect_models import DEMO_IMAGES
from support.drawn_video import write_video
from support.installed import ROOT
from support.lined import Lining
from support.watched import rows_of

LINE = ROOT / "examples" / "line.toml"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command runs in."""
    (tmp_path / "top").mkdir()
    for picture in sorted(DEMO_IMAGES.glob("gear-????.jpg"))[:2]:
        shutil.copyfile(picture, tmp_path / "top" / picture.name)
    write_video(tmp_path / "side.mp4", 3)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_both_cameras_are_inspected(place: Path) -> None:
    out = place / "inspected"
    with Lining(LINE, out) as line:
        line.wait_until(lambda: len(rows_of(out / "top")) == 2 and len(rows_of(out / "side")) == 3)
        assert line.stop() == 0
    assert json.loads((out / "health.json").read_text())["problems"] == []
    assert (out / "side.csv").read_text().count("\n") == 4
    assert {row["recipe"]["name"] for row in rows_of(out / "top") + rows_of(out / "side")} == {"object"}


@pytest.mark.slow
def test_check_opens_everything_and_writes_nothing(place: Path) -> None:
    command = [sys.executable, "-m", "clipspect", "line", "--check", str(LINE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "top" in done.stdout + done.stderr
    assert not (place / "inspected").exists()
