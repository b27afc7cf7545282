"""Streams of a real RTSP server: in order, nothing doubled, gone on with after each disconnection."""

from __future__ import annotations

import hashlib
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import clipspect
from clipspect.base.errors import ClipspectError
from clipspect.sources import decoder, live
from support.cut_off import Cable
from support.drawn_video import FPS, number_in

SERVER = Path(__file__).parents[2] / "support" / "rtsp_server.py"
BOTTLES = Path(__file__).parents[2] / "photos" / "bottles.mp4"
PYTHON = "/usr/bin/python3"  # Debian's, which has its GStreamer
PATIENCE_S = 60


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [PYTHON, str(SERVER), str(port), str(BOTTLES)]
    try:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        pytest.skip(f"no RTSP server here ({error}): apt install gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-ugly")
    assert server.stdout is not None
    assert server.stderr is not None
    if server.stdout.readline() != "ready\n":
        why = server.stderr.read().strip().splitlines()[-1:]
        pytest.skip(f"no RTSP server here ({why}): apt install gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-ugly")
    yield port
    server.kill()
    server.wait()


@pytest.fixture
def cable(port: int) -> Iterator[Cable]:
    cable = Cable(port)
    yield cable
    cable.close()


def test_a_stream_disconnected_three_times_goes_on_with_nothing_doubled_and_what_was_missed_counted(
    cable: Cable, tiny_bundle: Path
) -> None:
    problems: list[str | None] = []
    stream = clipspect.sources.video(f"rtsp://127.0.0.1:{cable.port}/line", policy="block", problem=problems.append)
    seen: list[tuple[int, clipspect.Item]] = []
    with clipspect.load(tiny_bundle, backend="onnxruntime") as inspector:
        for outcome in inspector.stream(stream):
            assert outcome.error is None
            seen.append((number_in(outcome.item.frame), outcome.item))
            if len(seen) in {20, 40, 60}:
                cable.cut()
            if len(seen) == 80:
                break
    stream.close()
    drawn = [number for number, _ in seen]
    assert drawn == sorted(set(drawn))
    outages = 0
    for (one, before), (other, after) in itertools.pairwise(seen):
        assert after.number - before.number == after.dropped + 1
        if after.dropped == 0:
            assert other == one + 1  # what was not missed is the very next frame
        else:
            outages += 1
            assert other - one - 1 == pytest.approx(after.dropped, abs=15)  # to half a second
    assert outages == 3
    assert len([text for text in problems if text is not None]) >= 3
    assert problems[-1] is None


@pytest.mark.slow
def test_a_recorded_stream_disconnected_three_times_gives_every_frame_of_its_file_once(cable: Cable) -> None:
    expected = [_digest(item) for item in clipspect.sources.video(BOTTLES)]
    stream = clipspect.sources.video(f"rtsp://127.0.0.1:{cable.port}/file", policy="block")
    found = []
    for item in stream:  # until the recording is at its end
        found.append(_digest(item))
        if len(found) in {200, 500, 900}:
            cable.cut()
    stream.close()
    assert len(expected) - len(found) < 10
    rest = iter(expected)
    assert all(digest in rest for digest in found)  # each after the one before: nothing doubled, nothing out of order


def _digest(item: clipspect.Item) -> bytes:
    return hashlib.sha256(np.asarray(item.frame).tobytes()).digest()


def test_each_frame_is_decoded_whole_and_knows_when_it_was_captured(port: int) -> None:
    stream = clipspect.sources.video(f"rtsp://user:secret@127.0.0.1:{port}/line")
    items = list(itertools.islice(stream, 50))
    assert len({number_in(item.frame) for item in items}) == 50
    assert all("secret" not in item.source and item.source.startswith("rtsp://127.0.0.1") for item in items)
    intervals = np.diff([item.seconds or 0.0 for item in items[10:]])
    steps = np.diff([item.number for item in items[10:]])
    np.testing.assert_allclose(intervals / steps, 1 / FPS, atol=0.02)
    ages = [time.monotonic() - (item.captured_monotonic or 0.0) for item in items]
    assert min(ages) >= 0
    assert all(item.captured_at is not None for item in items)


@pytest.mark.slow
def test_the_newest_frame_is_given_and_those_let_go_are_counted(port: int) -> None:
    stream = clipspect.sources.video(f"rtsp://127.0.0.1:{port}/line")
    items = []
    for item in stream:
        items.append((number_in(item.frame), item))
        time.sleep(0.2)
        if len(items) == 8:
            break
    for (one, before), (other, after) in itertools.pairwise(items):
        assert after.number - before.number == after.dropped + 1 == other - one
    assert sum(item.dropped for _, item in items) > 15
    stream.close()


@pytest.mark.slow
def test_a_stream_that_stalls_is_told_and_connected_to_again(cable: Cable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "TIMEOUT_S", 1.0)
    told: list[str | None] = []
    stream = clipspect.sources.video(f"rtsp://127.0.0.1:{cable.port}/line", problem=told.append)
    items = iter(stream)
    next(items)
    cable.stalled.set()
    threading.Timer(2.5, cable.stalled.clear).start()
    end = time.monotonic() + PATIENCE_S
    while not any(text and "no answer in time: connecting again" in text for text in told):
        next(items)
        assert time.monotonic() < end
    stream.close()


def test_a_server_away_is_told_in_one_line_and_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FIRST_WAIT_S", 0.05)
    cable, told = Cable(port), list[str | None]()
    cable.plugged = False
    stream = clipspect.sources.video(f"rtsp://127.0.0.1:{cable.port}/line", problem=told.append)
    threading.Timer(0.5, lambda: setattr(cable, "plugged", True)).start()
    item = next(iter(stream))
    assert item.number == item.dropped
    texts = [text for text in told if text is not None]
    assert texts
    assert all(text.endswith(": connecting again until it answers") and "\n" not in text for text in texts)
    stream.close()
    cable.close()


def test_a_stream_that_the_server_does_not_know_is_an_error_at_once(port: int) -> None:
    stream = clipspect.sources.video(f"rtsp://127.0.0.1:{port}/none")
    with pytest.raises(ClipspectError, match="/none: Server returned 404 Not Found"):
        next(iter(stream))


def test_a_closed_stream_ends_although_it_waits_for_a_camera() -> None:
    stream = clipspect.sources.video("rtsp://127.0.0.1:1/line")
    threading.Timer(0.3, stream.close).start()  # type: ignore[union-attr]
    assert list(stream) == []


@pytest.mark.slow
def test_run_ends_a_stream_at_ctrl_c_with_all_its_records_and_a_summary(port: int, tmp_path: Path) -> None:
    import signal

    command = [
        sys.executable, "-m", "clipspect", "run", "demo", f"rtsp://127.0.0.1:{port}/line", "--backend", "onnxruntime",
        "--out", str(tmp_path / "out"), "--json",
    ]  # fmt: skip
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout is not None
    first = [run.stdout.readline() for _ in range(2)]
    run.send_signal(signal.SIGINT)
    rest, said = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 130, said
    records = (tmp_path / "out/results.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(records) == len([*first, *rest.splitlines()])
    assert "dropped before they were inspected" in said
    assert "Traceback" not in said
