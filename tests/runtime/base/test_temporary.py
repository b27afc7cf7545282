"""What a killed process was writing is removed by the next one; what a living one writes is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clipspect.base.errors import ClipspectError, RecipeError
from clipspect.base.files import atomic_file
from clipspect.base.lock import only_writer_in, only_writer_of
from clipspect.base.temporary import temporary_file, temporary_folder

HOLD = """
import sys
from pathlib import Path
from clipspect.base.files import atomic_file
from clipspect.base.lock import only_writer_in, only_writer_of
from clipspect.base.temporary import temporary_folder
with {held}:
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another(held: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds something of a path for the block."""
    command = [sys.executable, "-c", HOLD.format(held=held), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


FILE, FOLDER = "atomic_file(Path(sys.argv[1]) / 'a.bin')", "temporary_folder(Path(sys.argv[1]))"


@pytest.mark.parametrize("held", [FILE, FOLDER])
def test_what_a_killed_process_leaves_the_next_one_removes_and_no_other(tmp_path: Path, held: str) -> None:
    folder = tmp_path / "results"
    with another(held, folder) as killed:
        (left,) = folder.iterdir()
        if left.is_dir():
            (left / "half.bin").write_bytes(b"half")
        killed.kill()
        killed.wait()
    (folder / ".clipspect-notes.txt").write_text("of nobody, under our names")
    (folder / ".mine").write_text("of somebody")
    with another(held, folder) as living:
        held_now = {path for path in folder.iterdir() if path.name.startswith(".clipspect-")}
        assert left not in held_now
        with atomic_file(folder / "b.bin") as file:
            file.write(b"whole")
        assert {*held_now, folder / ".mine", folder / "b.bin"} == set(folder.iterdir())
        assert living.poll() is None


@pytest.mark.parametrize("make", [temporary_file, temporary_folder])
def test_nothing_is_left_of_what_ends_by_itself(tmp_path: Path, make: type[temporary_file]) -> None:
    with pytest.raises(ZeroDivisionError), make(tmp_path):
        _ = 1 / 0
    assert not any(tmp_path.iterdir())


def test_of_two_that_write_into_a_folder_one_is_refused_and_after_a_kill_none(tmp_path: Path) -> None:
    with another("only_writer_in(Path(sys.argv[1]))", tmp_path) as process:
        expected = (
            f"{tmp_path}: another clipspect \\(process {process.pid}\\) writes there: wait for its end, or choose"
        )
        with pytest.raises(ClipspectError, match=expected), only_writer_in(tmp_path):
            pass
        with only_writer_in(tmp_path / "other"):
            pass
        process.kill()
        process.wait()
    with only_writer_in(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


@pytest.mark.parametrize("name", ["nut.safetensors", "n" * 238 + ".safetensors"])
def test_of_two_that_write_a_file_one_is_refused_however_long_its_name_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with another("only_writer_of(Path(sys.argv[1]))", path) as process:
        expected = (
            f"another clipspect \\(process {process.pid}\\) writes there: wait for its end, or choose another name"
        )
        with pytest.raises(RecipeError, match=expected), only_writer_of(path, RecipeError):
            pass
        with only_writer_of(tmp_path / "other.safetensors"), atomic_file(path) as file:
            file.write(b"the lock is of who wants to make it, not of the file")
    assert path.exists()
