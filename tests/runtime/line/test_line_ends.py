"""Every way out of a line ends: with what hangs at its end, what nobody waits for, and standard error that is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from clipspect.line.line import Line
from clipspect.line.plan import read_plan
from support.lined import Lining, quick, write_plan
from support.unsteady import Unsteady
from support.watched import PATIENCE_S, grey_png, rows_of, wait_for

CLIPSPECT = [sys.executable, str(Path(__file__).parents[2] / "support/faulty.py")]


@pytest.fixture
def plan(tiny_bundle: Path, place: Path, out: Path) -> Path:
    """Two folders with an image each; an engine has two seconds for an answer."""
    for name in ("top", "side"):
        (place / name).mkdir()
        (place / name / "a.png").write_bytes(grey_png(50))
    return write_plan(
        place / "line.toml",
        {name: quick(place / name) for name in ("top", "side")},
        bundle=tiny_bundle, out=out, backend="onnxruntime", threads=1, health=0.1, answer_within=2,
    )  # fmt: skip


def both_inspected(out: Path) -> bool:
    return all(len(rows_of(out / name)) == 1 for name in ("top", "side"))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("engine exits", "SystemExit: 3"),
        pytest.param(
            "health hangs",
            "health.json has been under way for 2 s: check its disk, and standard error",
            marks=pytest.mark.slow,
        ),
        ("health fails", "the thread health failed (ValueError: a fault in the document): start the command again"),
    ],
)
def test_what_would_stall_the_line_unseen_ends_it_with_status_1(
    plan: Path, place: Path, out: Path, fault: str, said: str
) -> None:
    with Lining(plan, out, fault=fault) as line:
        line.wait_until(lambda: both_inspected(out))
        for name in ("hang", "fail"):
            (out / name).touch()
        (place / "top/b.png").write_bytes(grey_png(255))
        assert line.process.wait(PATIENCE_S) == 1
    assert line.err.splitlines()[-1].endswith(said)


def test_a_line_whose_standard_error_nobody_reads_any_more_goes_on_and_health_says_so(
    plan: Path, place: Path, out: Path
) -> None:
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "clipspect", "line", str(plan)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=writer)
    os.close(writer)
    try:
        wait_for(lambda: both_inspected(out))
        os.close(reader)
        (place / "top/b.png").write_bytes(grey_png(60))
        wait_for(lambda: len(rows_of(out / "top")) == 2)
        said = "standard error cannot be written (Broken pipe)"
        wait_for(lambda: said in json.loads((out / "health.json").read_text())["problems"])
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
        assert json.loads((out / "health.json").read_text())["status"] == "offline"
    finally:
        process.kill()


def test_a_program_that_embeds_a_line_can_interrupt_it(plan: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Line, threads: Any) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(Line, "_joined", interrupted)
    with Line(read_plan(plan)) as line:
        line.load()
        with pytest.raises(KeyboardInterrupt):
            line.run()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("clipspect-frames")]
    assert json.loads((out / "health.json").read_text())["status"] == "offline"


def test_a_run_whose_engine_hangs_ends_with_status_1_and_at_a_second_interrupt_at_once(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "black.png").write_bytes(grey_png(0))
    (tmp_path / "white.png").write_bytes(grey_png(255))
    run = [*CLIPSPECT, "engine hangs", "run", str(tiny_bundle), "--backend", "onnxruntime"]
    hung = subprocess.run(
        [*run, str(tmp_path), "--answer-within", "1"], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert hung.returncode == 1
    said = "clipspect: error: the engine has not answered for 1 s: start the command again"
    assert hung.stderr.splitlines()[-1] == said
    with subprocess.Popen([*run, f"folder:{tmp_path}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()  # the table's head, with the first row
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        assert process.wait(PATIENCE_S) == 130
        assert process.stderr.read().decode().splitlines()[-1] == "clipspect: interrupted"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["watch", "line"])
def test_an_engine_that_fails_at_random_leaves_every_file_its_right_result_and_health_told_each_problem(
    command: str, place: Path
) -> None:
    found = Unsteady(command, place).run(seconds=15)
    assert found.wrong == []
    assert found.files > 50
