"""A file is written whole or not at all, and an error is named after what it is of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from clipspect.base.errors import ClipspectError
from clipspect.base.files import atomic_file


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), atomic_file(path) as file:
        file.write({}["new"])
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == {"a.bin": b"old"}


def test_an_error_of_another_file_in_the_block_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"other\.bin"), atomic_file(tmp_path / "a.bin") as file:
        file.write((tmp_path / "other.bin").read_bytes())
    assert not any(tmp_path.iterdir())


def test_what_cannot_be_written_is_said_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(ClipspectError, match=r"taken/a\.bin: cannot be written"), atomic_file(tmp_path / "taken/a.bin"):
        pass


def test_a_limit_on_the_size_of_files_is_said_of_the_file(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path; from clipspect.base.files import atomic_file\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "with atomic_file(Path(sys.argv[1])) as file: file.write(bytes(100_000))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.bin")], capture_output=True, text=True, check=False
    )
    assert "ClipspectError" in ended.stderr
    assert "a.bin: cannot be written (File too large)" in ended.stderr
    assert not any(tmp_path.iterdir())
