"""A line in trouble: whatever happens to engine and sources, it goes on or ends and says why; it never waits unsaid."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipspect.bundle.manifest import RECIPES
from clipspect.line.audit import audit
from clipspect.line.notify import Notifier
from support.lined import Lining, quick, write_plan
from support.watched import PATIENCE_S, grey_png, rows_of

NAMES = ("top", "side")


@pytest.fixture
def plan(tiny_bundle: Path, place: Path, out: Path) -> Path:
    """Two folders; an engine has two seconds for an answer."""
    for name in NAMES:
        (place / name).mkdir()
    return write_plan(
        place / "line.toml",
        {name: quick(place / name) for name in NAMES},
        bundle=tiny_bundle, out=out, backend="onnxruntime", threads=1, health=0.1, answer_within=2,
    )  # fmt: skip


def drop(folder: Path, name: str, value: int = 50) -> None:
    (folder / f"{name}.png").write_bytes(grey_png(value))


def names_of(out: Path) -> list[str]:
    return [row["item"]["file"]["name"] for row in rows_of(out)]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param("engine raises", "the engine fell over", marks=pytest.mark.slow),
        ("engine hangs", "the engine has not answered for 2 s"),
    ],
)
def test_an_engine_that_raises_or_hangs_ends_the_line_and_after_a_restart_nothing_is_missing(
    plan: Path, place: Path, out: Path, fault: str, said: str
) -> None:
    with Lining(plan, out, fault=fault) as line:
        for name in NAMES:
            drop(place / name, "a")
        line.wait_until(lambda: all(len(rows_of(out / name)) == 1 for name in NAMES))
        drop(place / "top", "b", 255)
        drop(place / "side", "b")
        assert line.process.wait(PATIENCE_S) == 1
    assert line.err.splitlines()[-1].startswith(f"clipspect: error: {said}")
    assert "Traceback" not in line.err
    health = line.health()
    assert health["status"] == "offline"
    assert any(said in problem for problem in health["problems"])
    with Lining(plan, out) as line:
        line.wait_until(lambda: all(len(rows_of(out / name)) == 2 for name in NAMES))
        assert line.stop() == 0
    for name in NAMES:
        assert names_of(out / name) == ["a.png", "b.png"]
        assert audit([out / name / "results.jsonl"]).whole


@pytest.mark.slow
def test_a_frame_that_the_engine_answers_nan_to_is_that_frames_error(plan: Path, place: Path, out: Path) -> None:
    with Lining(plan, out, fault="engine answers NaN") as line:
        drop(place / "top", "b", 255)
        line.wait_until(lambda: len(rows_of(out / "top")) == 1)
        drop(place / "top", "c")
        drop(place / "side", "c")
        line.wait_until(lambda: len(rows_of(out / "top")) == 2 and len(rows_of(out / "side")) == 1)
        assert line.stop() == 0
    assert ["answered NaN" in (row["error"] or "") for row in rows_of(out / "top")] == [True, False]
    assert line.health()["problems"] == []


def test_a_share_that_hangs_is_told_while_the_other_camera_goes_on_and_ends_the_line_when_none_does(
    plan: Path, place: Path, out: Path
) -> None:
    with Lining(plan, out, fault="share hangs") as line:
        for name in NAMES:
            drop(place / name, "a")
        line.wait_until(lambda: all(len(rows_of(out / name)) == 1 for name in NAMES))
        (place / "top/hang").touch()
        line.wait_until(lambda: line.health()["problems"])
        (problem,) = line.health()["problems"]
        assert problem.startswith(f"top: folder:{place}/top has not answered for ")
        drop(place / "side", "b")
        line.wait_until(lambda: len(rows_of(out / "side")) == 2)
        (place / "side/hang").touch()
        assert line.process.wait(PATIENCE_S) == 1
    assert "; nothing else goes on: start the command again" in line.err.splitlines()[-1]


def test_a_bundle_whose_share_hangs_ends_the_line(plan: Path, tiny_bundle: Path, place: Path, out: Path) -> None:
    with Lining(plan, out, fault="recipe hangs") as line:
        for name in NAMES:
            drop(place / name, "a")
        line.wait_until(lambda: all(len(rows_of(out / name)) == 1 for name in NAMES))
        (tiny_bundle / RECIPES / "hang").touch()
        for name in NAMES:
            drop(place / name, "b")
        assert line.process.wait(60) == 1
    assert "; nothing else goes on: start the command again" in line.err.splitlines()[-1]


def test_a_disk_that_hangs_with_the_last_part_of_the_day_ends_the_line(plan: Path, place: Path, out: Path) -> None:
    with Lining(plan, out, fault="log hangs") as line:
        line.wait_until(lambda: (out / "side/.watch").exists() and (out / "top/.watch").exists())
        for name in NAMES:
            (out / name / "hang").touch()
            drop(place / name, "a")
        assert line.process.wait(60) == 1
    assert "; nothing else goes on: start the command again" in line.err.splitlines()[-1]


def test_a_line_whose_share_hangs_ends_when_it_is_asked_to(plan: Path, place: Path, out: Path) -> None:
    with Lining(plan, out, fault="share hangs") as line:
        drop(place / "side", "a")
        line.wait_until(lambda: len(rows_of(out / "side")) == 1)
        (place / "top/hang").touch()
        time.sleep(0.5)
        start = time.monotonic()
        assert line.stop() == 0
        assert time.monotonic() - start < 30


@pytest.mark.slow
def test_each_complete_file_of_each_folder_has_exactly_one_line_however_often_the_line_is_killed(
    plan: Path, place: Path, out: Path
) -> None:
    chance, kills, each = random.Random(5), 25, 15
    for kill in range(kills):
        with Lining(plan, out) as line:
            for name in NAMES:
                for number in range(each):
                    drop(place / name, f"{kill}-{number}", 10 + number)
            line.wait_until(lambda kill=kill: len(rows_of(out / "top")) > each * kill // 2)
            time.sleep(chance.uniform(0, 0.1))
            line.process.kill()
    with Lining(plan, out) as line:
        line.wait_until(lambda: all(len(rows_of(out / name)) >= each * kills for name in NAMES))
        time.sleep(0.5)  # for one too many
        assert line.stop() == 0
    for name in NAMES:
        rows = {row["item"]["file"]["name"]: round(row["score"] * 255) for row in rows_of(out / name)}
        assert rows == {f"{kill}-{number}.png": 10 + number for kill in range(kills) for number in range(each)}
        assert len(rows_of(out / name)) == len(rows)
        assert audit([out / name / "results.jsonl"]).whole


@pytest.fixture
def systemd(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket that a service of Type=notify talks to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(place / "notify"))
        listening.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(place / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        yield listening


def heard(systemd: socket.socket, state: str) -> list[str]:
    """What is said until then."""
    said: list[str] = []
    while state not in said:
        said += systemd.recv(4096).decode().splitlines()
    return said


def test_systemd_hears_that_the_line_is_ready_lives_and_stops_and_nothing_more_of_one_that_hangs(
    plan: Path, place: Path, out: Path, systemd: socket.socket
) -> None:
    with Lining(plan, out, fault="engine hangs") as line:
        assert "STOPPING=1" not in heard(systemd, "READY=1")
        start = time.monotonic()
        for _ in range(5):
            heard(systemd, "WATCHDOG=1")
        assert time.monotonic() - start < 5 * 0.4
        drop(place / "top", "b", 255)
        said = heard(systemd, "STOPPING=1")
        said += systemd.recv(4096).decode().splitlines() if not said[-1].startswith("STATUS=") else []
        assert said[-1].startswith("STATUS=the engine has not answered for 2 s")
        assert line.process.wait(PATIENCE_S) == 1
    with Lining(plan, out) as line:
        heard(systemd, "READY=1")
        assert line.stop() == 0
    assert "STOPPING=1" in heard(systemd, "STOPPING=1")


def test_who_is_told_is_found_from_the_environment(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Notifier({}).tell("READY=1")
    silent = Notifier({"NOTIFY_SOCKET": str(place / "nobody")})
    silent.tell("READY=1")
    silent.tell("READY=1")
    assert capsys.readouterr().err.count("systemd cannot be told") == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0clipspect-{os.getpid()}")
        Notifier({"NOTIFY_SOCKET": f"@clipspect-{os.getpid()}"}).tell("READY=1", "STATUS=fine")
        assert listening.recv(100) == b"READY=1\nSTATUS=fine"
    cases: list[tuple[dict[str, str], Any]] = [
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ]
    assert [Notifier(environment).watchdog_s for environment, _ in cases] == [expected for _, expected in cases]
