"""The commands that a box lives by."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Command = Callable[..., str]


@pytest.fixture
def own_bundle(bundle: Path, tmp_path: Path) -> Path:
    """A copy, for recipes to be written into."""
    return shutil.copytree(bundle, tmp_path / "own.bundle")


def picture(path: Path, colour: tuple[int, int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((32, 32, 3), colour, np.uint8)).save(path)
    return path


def scores(lines: str) -> list[float]:
    """Of JSON lines, in their order."""
    return [json.loads(line)["score"] for line in lines.splitlines()]


def test_verify_finds_the_demo_within_a_tenth_of_what_it_tolerates(engine: str, command: Command) -> None:
    document = json.loads(command("verify", "demo", "--backend", engine, "--json"))
    assert document["passed"]
    assert document["comparisons"]
    for compared in document["comparisons"]:
        print(f"{engine}: score {compared['score']:.1e}, map {compared['anomaly_map']:.1e}")
        assert max(compared["score"], compared["anomaly_map"]) < compared["tolerance"] / 10


def test_run_scores_a_folder_and_says_which_picture_it_cannot_read(
    engine: str, bundle: Path, command: Command, tmp_path: Path
) -> None:
    picture(tmp_path / "parts" / "dark.png", (51, 51, 51))
    picture(tmp_path / "parts" / "light.png", (204, 204, 204))
    found = scores(command("run", bundle, tmp_path / "parts", "--backend", engine, "--json"))
    assert found == pytest.approx([0.2, 0.8], abs=1e-6)
    (tmp_path / "parts" / "broken.png").write_bytes(b"no picture")
    command("run", bundle, tmp_path / "parts", "--backend", engine, "--out", tmp_path / "out", status=1)
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert len(rows) == 3
    assert (tmp_path / "out" / "overlays").is_dir()


def test_a_recipe_of_words_is_made_on_the_box(engine: str, own_bundle: Path, command: Command) -> None:
    assert "metal nut" not in command("info", own_bundle)
    command("recipe", own_bundle, "metal nut", "--backend", engine)
    assert (own_bundle / "recipes" / "metal nut.safetensors").is_file()
    assert "metal nut" in command("info", own_bundle)


def test_a_recipe_of_photos_finds_what_the_photos_lack(
    engine: str, own_bundle: Path, command: Command, tmp_path: Path
) -> None:
    red, blue = (200, 0, 0), (0, 0, 200)
    for name, colour in (("a.png", red), ("b.png", (190, 0, 0))):
        picture(tmp_path / "good" / name, colour)
    command("recipe", own_bundle, "red part", "--references", tmp_path / "good", "--backend", engine)
    parts = [picture(tmp_path / "parts" / name, colour) for name, colour in (("red.png", red), ("blue.png", blue))]
    good, bad = scores(command("run", own_bundle, *parts, "--recipe", "red part", "--backend", engine, "--json"))
    assert bad > good + 0.1


def test_watch_inspects_what_a_camera_drops_and_leaves_when_asked(
    engine: str, bundle: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    folder, log = tmp_path / "camera", tmp_path / "out" / "results.jsonl"
    picture(folder / "first.png", (51, 51, 51))
    given = ["watch", folder, "--bundle", bundle, "--out", log.parent, "--backend", engine, "--settle", 0.1]
    watching = subprocess.Popen([sys.executable, "-m", "clipspect", *map(str, given)], stderr=subprocess.PIPE)
    try:
        _wait_for_lines(log, 1, watching, pytestconfig.getoption("patience"))
        picture(folder / "second.png", (204, 204, 204))
        _wait_for_lines(log, 2, watching, pytestconfig.getoption("patience"))
        watching.send_signal(signal.SIGTERM)
        assert watching.wait(pytestconfig.getoption("patience")) == 0
    finally:
        watching.kill()
        watching.communicate()
    assert [json.loads(line)["score"] for line in log.read_text().splitlines()] == pytest.approx([0.2, 0.8], abs=1e-6)


def _wait_for_lines(log: Path, count: int, process: subprocess.Popen[bytes], patience: float) -> None:
    end = time.monotonic() + patience
    while not log.exists() or log.read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < end, f"{log} has fewer than {count} lines"
        time.sleep(0.05)
