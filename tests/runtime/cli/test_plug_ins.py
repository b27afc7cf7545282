"""Sources and sinks of a package outside the project, installed by pip and used from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.watched import Watching, grey_png

PACKAGE = Path(__file__).parents[2] / "support/clipspect_ticks"
ENTRY_POINTS = """
[clipspect.sources]
ticks = clipspect_ticks.source:ticks
rtsp = clipspect_ticks.source:ticks
unplugged = clipspect_ticks.source:unplugged
missing = clipspect_ticks.nowhere:source
number = math:pi
[clipspect.sinks]
tally = clipspect_ticks.sink:Tally
jammed = clipspect_ticks.sink:Jammed
missing = clipspect_ticks.nowhere:Sink
number = builtins:int
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed the package."""
    root = tmp_path_factory.mktemp("plug_ins")
    wheel = root / "clipspect_ticks-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for module in sorted(PACKAGE.glob("*.py")):
            file.write(module, f"clipspect_ticks/{module.name}")
        info = "clipspect_ticks-1.0.dist-info"
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: clipspect-ticks\nVersion: 1.0\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/entry_points.txt", ENTRY_POINTS)
        file.writestr(f"{info}/RECORD", "")
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", "--target", root / "site"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, wheel], check=True)
    return root / "site"


@pytest.fixture(autouse=True)
def _on_the_path(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the processes that are started here."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")])))


def clipspect(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clipspect", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_a_source_and_a_sink_of_another_package_are_used_beside_our_own(
    tiny_bundle: Path, image_folder: Path, tmp_path: Path
) -> None:
    tally, out = tmp_path / "tally", tmp_path / "out"
    sources = ["ticks:2", image_folder, "ticks://camera/1", image_folder / "part9.png"]
    done = clipspect("run", tiny_bundle, *sources, "--sink", f"tally:{tally}", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    named = [(record["item"]["source"], record["item"]["number"]) for record in records]
    photos = [(str(image_folder), number) for number in range(3)]
    assert named == [("ticks:2", 0), ("ticks:2", 1), *photos, ("ticks://camera/1", 0)]
    assert [round(record["score"] * 255) for record in records] == [50, 100, 255, 255, 255, 50]
    assert (tally / "tally.txt").read_text() == "invalid 3\nnone 3\n"  # ticks are of one colour each
    for record in records:
        assert (tally / record["files"]["tally"]).exists()
        assert (out / record["files"]["overlay"]).exists()
    assert len({record["files"]["overlay"] for record in records}) == 6
    assert [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()] == records


def test_a_sink_of_another_package_takes_what_is_watched(tiny_bundle: Path, tmp_path: Path) -> None:
    folder, out, tally = tmp_path / "camera", tmp_path / "out", tmp_path / "tally"
    folder.mkdir()
    (folder / "a.png").write_bytes(grey_png(51))
    with Watching(folder, tiny_bundle, out, "--sink", f"tally:{tally}", "--sink", f"csv:{tmp_path}/a.csv") as watching:
        (record,) = watching.wait_for_rows(1)
        assert watching.stop() == 0
    assert record["files"] == {"tally": f"{record['id']}.png", "sorted": "unjudged/a.png"}
    assert (tally / record["files"]["tally"]).exists()
    assert (tally / "tally.txt").read_text() == "none 1\n"
    assert (tmp_path / "a.csv").read_text().count("\n") == 2


def test_a_plug_in_that_claims_a_scheme_wins_over_ours(tiny_bundle: Path) -> None:
    done = clipspect("run", tiny_bundle, "rtsp://camera/1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["item"]["name"] == "rtsp://camera/1#0"
    assert "there is no /dev/video97" in clipspect("run", tiny_bundle, "camera:97").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["tocks:3"],
            "tocks:3: there is no source 'tocks'; there are: aravis, camera, files, folder, http, https, mis",
        ),
        (["ticks:many"], "ticks:many: expected a number of frames, e.g. ticks:3"),
        (["unplugged:2"], "unplugged:2: the source failed (RuntimeError: the camera was unplugged)"),
        (["missing:1"], "of the package clipspect-ticks does not load (ModuleNotFoundError: No module named"),
        (["number:1"], "number:1: the source 'number' cannot be opened (TypeError: 'float' object is not callable)"),
        (["ticks:1", "--sink", "tolly"], "--sink tolly: there is no sink 'tolly'; there are: csv, jammed, jsonl, miss"),
        (["ticks:1", "--sink", "csv"], "--sink csv: expected a file after the colon"),
        (["ticks:1", "--sink", "jammed"], "sink jammed: ZeroDivisionError: no paper"),
        (["ticks:1", "--sink", "missing"], "of the package clipspect-ticks does not load (ModuleNotFoundError"),
        (["ticks:1", "--sink", "number:1"], "the sink cannot be opened (TypeError: expected a clipspect.sinks.Sink, "),
        (["ticks:1", "--sink", "tally:/dev/null/x"], "sink tally: NotADirectoryError: "),
    ],
)
def test_what_another_package_does_wrong_is_one_clear_error(
    tiny_bundle: Path, arguments: list[str], message: str
) -> None:
    done = clipspect("run", tiny_bundle, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("clipspect: error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


def test_a_sink_that_breaks_ends_watch_with_status_1_and_health_says_why(tiny_bundle: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "camera", tmp_path / "out"
    folder.mkdir()
    (folder / "a.png").write_bytes(grey_png(51))
    with Watching(folder, tiny_bundle, out, "--sink", "jammed") as watching:
        assert watching.process.wait(300) == 1
    health = json.loads((out / "health.json").read_text())
    assert (health["status"], health["problems"]) == ("offline", ["sink jammed: ZeroDivisionError: no paper"])
    assert watching.err.splitlines()[-1] == "clipspect: error: sink jammed: ZeroDivisionError: no paper"
    assert (out / "results.jsonl").read_text() == ""


def test_commands_of_another_package_that_break_are_told_and_take_no_other_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "clipspect_torn-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: clipspect-torn\nVersion: 1.0\n")
    names = ("away", "bare", "torn")
    (info / "entry_points.txt").write_text("[clipspect.commands]\n" + "".join(f"{name} = {name}\n" for name in names))
    (tmp_path / "bare.py").touch()
    (tmp_path / "torn.py").write_text("def add_parser(subparsers):\n    subparsers.add_parser('torn').nothing()\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    done = clipspect("info", "demo")
    assert done.returncode == 0
    assert [line.split(" does not load: ")[0] for line in done.stderr.splitlines()] == [
        f"clipspect: the command {name} of {name}" for name in names
    ]
    assert clipspect("torn").returncode == 2
