"""Commands that are killed while they write, and commands that write in one place at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support import grey_parts, handmade

KILLS = Path(__file__).parents[2] / "support/kills.py"
ENGINE = ("--backend", "onnxruntime", "--threads", "1")


@pytest.mark.slow
def test_what_is_killed_leaves_nothing_unreadable_lost_or_doubled_and_nothing_behind_the_next_start() -> None:
    command = [sys.executable, str(KILLS), "--kills", "20", "--seed", "16", "--without-export"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 faults" in done.stdout


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    handmade.write_full_bundle(tmp_path / "full.bundle")
    for number in range(4):
        grey_parts.grain(tmp_path / f"{number}.png", 40 + number)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def at_once(count: int, *arguments: str) -> list[tuple[int, str]]:
    """Exit status and standard error of the command, started so many times."""
    command = [sys.executable, "-m", "clipspect", *arguments]
    started = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(count)
    ]
    return [(process.wait(), err) for process in started for _, err in [process.communicate()]]


@pytest.mark.parametrize(
    ("count", "arguments"),
    [
        (4, ("recipe", "full.bundle", "nut", "--object", "metal nut", "--references", "0.png", "1.png", *ENGINE)),
        (2, ("run", "full.bundle", "0.png", "1.png", "--recipe", "object", "--out", "out", *ENGINE)),
    ],
)
def test_of_commands_that_write_in_one_place_at_once_one_wins_and_the_others_are_refused_or_come_later(
    place: Path, count: int, arguments: tuple[str, ...]
) -> None:
    ended = at_once(count, *arguments)
    assert sum(status == 0 for status, _ in ended) >= 1
    refused = [err for status, err in ended if status != 0]
    assert len(refused) == count - 1 or arguments[0] == "run"  # a run that comes later may write there again
    for err in refused:
        assert len(err.strip().splitlines()) == 1
        assert "another clipspect (process " in err or "nut.safetensors exists: choose another name" in err
    assert not [path for path in place.rglob("*") if path.name.startswith(".clipspect-") or path.suffix == ".partial"]
