"""The command line as a program: its exit status, its streams, what ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from clipspect.cli import main
from support import handmade

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "b", "s", "--batch", "0"],
        ["run", "b", "s", "--threads", "two"],
        ["run", "b", "s", "--map-limit", "nan"],
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("clipspect")
    assert err.endswith(" --help\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "hint"), [("--reprot=r.html", " (did you mean --report?)"), ("--qqq", "")], ids=["near", "far"]
)
def test_an_unknown_option_is_one_line_with_the_option_that_is_like_it(option: str, hint: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["run", "b", "s", option])
    assert caught.value.code == 2
    expected = f"clipspect run: error: unrecognized arguments: {option}{hint}; see: clipspect run --help\n"
    assert capsys.readouterr().err == expected


def test_python_m_clipspect_is_the_same_program() -> None:
    done = subprocess.run([sys.executable, "-m", "clipspect", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("clipspect ")


def test_a_reader_that_leaves_is_no_traceback(tiny_bundle: Path, image_folder: Path) -> None:
    images = [str(image_folder / "part9.png")] * 1 + [str(image_folder)] * 1
    for number in range(300):
        os.link(image_folder / "part9.png", image_folder / f"copy{number}.png")
    command = [sys.executable, "-m", "clipspect", "run", str(tiny_bundle), *images, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 141


def test_ctrl_c_ends_with_130_and_one_line(tiny_bundle: Path, image_folder: Path) -> None:
    for number in range(3000):
        os.link(image_folder / "part9.png", image_folder / f"copy{number}.png")
    command = [sys.executable, "-m", "clipspect", "run", str(tiny_bundle), str(image_folder), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "clipspect: interrupted\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_a_full_disk_is_one_line(tiny_bundle: Path) -> None:
    command = [sys.executable, "-m", "clipspect", "info", str(tiny_bundle)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "space left" in done.stderr


@pytest.mark.parametrize(("closed", "told"), [("1", "standard output is closed"), ("2", ""), ("1 2", "")])
def test_closed_standard_streams_are_no_reason_to_fail(
    tiny_bundle: Path, image_folder: Path, tmp_path: Path, closed: str, told: str
) -> None:
    shut = " ".join(f"{number}>&-" for number in closed.split())
    command = f'exec "$0" -m clipspect run "$1" "$2" --out "$3" --backend onnxruntime {shut}'
    files = [str(tiny_bundle), str(image_folder), str(tmp_path / "out")]
    ended = subprocess.run(["sh", "-c", command, sys.executable, *files], capture_output=True, text=True, check=False)
    rows = (tmp_path / "out/results.csv").read_text().splitlines()
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)
    assert told in ended.stderr
    assert rows[0].startswith("source,score")  # nothing that was printed is in the file
    assert len(rows) == 1 + sum(1 for _ in image_folder.rglob("*.png"))


def test_a_hostile_name_controls_neither_terminal_nor_spreadsheet(
    tiny_bundle: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "=\x1b[31m\nevil"
    folder.mkdir()
    Image.fromarray(handmade.spotted()).save(folder / "a.png")
    (folder / "b\x1b[2J.png").write_bytes(b"no image")
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(tiny_bundle), folder.name, "--out", str(tmp_path / "out")]) == 1
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert "\\x1b[31m\\x0aevil/a.png" in out
    assert "b\\x1b[2J.png" in err
    assert "'=" in (tmp_path / "out/results.csv").read_text()
