"""`clipspect eval --out`: one writes there at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.command_line import error_of
from support.eval_command import Capture, evaluated, run

HOLD = """
import sys
from pathlib import Path
from clipspect.base.lock import only_writer_in
with only_writer_in(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process_writes(folder: Path) -> Iterator[int]:
    """It holds the folder for the block; its number."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()
    assert process.returncode == 0


@pytest.mark.parametrize(("more", "held"), [((), "."), (("--compare", "demo"), "."), (("--compare", "demo"), "other")])
def test_while_another_process_writes_into_out_an_evaluation_is_refused_in_one_line(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture, more: tuple[str, ...], held: str
) -> None:
    out = tmp_path / "out"
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec", "--resolution", "256", *more, "--out", out)
    with another_process_writes(out / held) as process:
        assert run(*arguments) == 1
    text = error_of(capsys)
    assert f"{out / held}: another clipspect (process {process}) writes there: wait for its end" in text
    assert not (out / held / "images.jsonl").exists()
    if not more:
        assert len(evaluated(capsys, *arguments)["classes"]) == 2
        assert not list(out.glob(".*"))


def test_a_finished_evaluation_is_only_read_when_it_is_compared(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    done = tmp_path / "done"
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec", "--backend", "onnxruntime")
    evaluated(capsys, *arguments, "--out", done)
    files = {path: path.stat().st_mtime_ns for path in done.rglob("*")}
    with another_process_writes(done):
        lock = done / ".clipspect-folder.lock"
        found = evaluated(capsys, *arguments, "--threads", "1", "--compare", done, tiny_bundle, "--resamples", "10")
    assert found["mean"]["difference"]["image_auroc"] == 0
    assert {path: path.stat().st_mtime_ns for path in done.rglob("*") if path != lock}.items() >= {
        path: time for path, time in files.items() if path != done
    }.items()
