"""`clipspect compile` and several processes: one at once, whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clipspect.base.errors import BackendError
from support.command_line import error_of, run
from support.compiled import RTX, documents, engine_of

pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install tensorrt-rtx-cu13 (no GPU)")
pytest.importorskip("cuda.bindings", reason="needs NVIDIA's bindings: pip install cuda-bindings (no GPU)")
from clipspect.base.lock import locked

SECONDS = 300  # that a child process may take at most


def started(*arguments: object) -> subprocess.Popen[str]:
    """The command in a process of its own, with the interrupts of a shell's foreground."""
    command = [sys.executable, "-m", "clipspect", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, pattern: str, process: subprocess.Popen[str]) -> Path:
    for _ in range(SECONDS * 200):
        if found := [file for file in path.glob(pattern) if file.stat().st_size]:
            return found[0]
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    raise AssertionError(f"no {pattern} in {path}")


def test_a_second_process_is_refused_and_told_who_is_at_it(
    tiny_bundle: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import sys, pathlib; from clipspect.base.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), str, ''): print('held', flush=True); sys.stdin.read()"
    )
    assert run("compile", tiny_bundle, *RTX) == 0
    lock = cache / f"{next(cache.glob('*.json')).stem}.lock"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        capsys.readouterr()
        assert run("compile", tiny_bundle, *RTX, "--force") == 1
        assert f"process {first.pid} is compiling the engine of {tiny_bundle / 'model.onnx'} now" in error_of(capsys)
        first.kill()  # however it ends, the lock ends with it
    assert run("compile", tiny_bundle, *RTX, "--force") == 0
    assert not lock.exists()


def test_two_commands_at_once_build_one_engine(cache: Path) -> None:
    first = started("compile", "demo", *RTX, "--graph", "zero-shot")
    pid = wait_for(cache, "*.lock", first).read_text()
    second = started("compile", "demo", *RTX, "--graph", "zero-shot")
    out, error = second.communicate(timeout=SECONDS)
    assert first.wait(SECONDS) == 0, first.communicate()
    if second.returncode:  # else the first was done before the second looked
        assert pid == str(first.pid)
        assert f"process {first.pid} is compiling the engine of" in error
        assert error.count("\n") == 1
    else:
        assert "there already" in out
    assert engine_of(cache).name == documents(cache)[0]["file"]
    for process in (first, second):
        process.communicate()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_leaves_no_engine(cache: Path, how: signal.Signals) -> None:
    process = started("compile", "demo", *RTX)
    wait_for(cache, "*.lock", process)
    os.kill(process.pid, how)
    _, error = process.communicate(timeout=SECONDS)
    left = [path.suffix for path in cache.iterdir()]
    if how == signal.SIGINT:
        assert (process.returncode, error) == (130, "clipspect: interrupted\n")
        assert left == []
    else:
        assert left == [".lock"]
    assert run("compile", "demo", *RTX) == 0


def test_a_place_without_locks_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_here(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none_here)
    expected = pytest.raises(BackendError, match=r"x.lock: cannot be locked .No locks available.: choose another")
    with expected, locked(tmp_path / "x.lock", str, "choose another", BackendError):
        pass


def test_a_lock_is_free_again_after_its_block(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    for _ in range(2):
        with locked(path, "held by {}".format, ""):
            expected = pytest.raises(BackendError, match=f"held by {os.getpid()}")
            with expected, locked(path, "held by {}".format, "", BackendError):
                pass
        assert not path.exists()
