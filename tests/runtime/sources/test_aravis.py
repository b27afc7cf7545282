"""Aravis' fake GigE Vision camera on this machine's loopback: every frame, what is dropped, and a camera that goes."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest

import clipspect
from clipspect.base.errors import ClipspectError
from clipspect.sources import aravis_library, live
from clipspect.sources.aravis import _missing

PROGRAM = shutil.which("arv-fake-gv-camera-0.8")
PATIENCE_S = 60
SECONDS = 300  # of the slow test

try:
    aravis_library.aravis()
    WHY = "" if PROGRAM else "no arv-fake-gv-camera-0.8 here"
except ClipspectError as error:
    WHY = str(error)
pytestmark = pytest.mark.skipif(bool(WHY), reason=f"{WHY}: apt install aravis-tools libaravis-0.8-0")

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def name() -> str:
    return f"CS{os.getpid() % 100000}"


@pytest.fixture
def start(name: str) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> subprocess.Popen[bytes]:
        command = [str(PROGRAM), "-i", "127.0.0.1", "-s", name, *options]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        end = time.monotonic() + 10
        while not any(name in found for found in aravis_library.camera_ids()):
            if started[-1].poll() is not None or time.monotonic() > end:
                pytest.skip("the fake camera's port is taken here, or it cannot be reached")
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def camera_id(name: str) -> str:
    return next(found for found in aravis_library.camera_ids() if name in found)


def test_every_frame_comes_once_with_its_number_time_and_pixels(start: Start, name: str) -> None:
    start()
    camera = clipspect.sources.camera(camera_id(name), policy="block")
    items = list(itertools.islice(camera, 60))
    camera.close()
    assert [(item.number, item.dropped) for item in items] == [(number, 0) for number in range(60)]
    assert all(isinstance(item.frame, np.ndarray) and item.frame.shape == (512, 512) for item in items)
    times = np.array([item.seconds for item in items])
    assert np.all(np.diff(times) > 0)
    assert np.diff(times).mean() == pytest.approx(1 / 25, rel=0.3)
    assert all(0 <= time.monotonic() - (item.captured_monotonic or 0.0) < PATIENCE_S for item in items)


def test_a_camera_none_of_whose_frames_is_whole_is_told_of(
    start: Start, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "DAMAGED_S", 0.5)
    start("-r", "900")  # of a thousand packets lost
    told: SimpleQueue[str | None] = SimpleQueue()
    camera = clipspect.sources.camera(camera_id(name), problem=told.put)
    threading.Thread(target=list, args=(camera,), daemon=True).start()
    assert "frames came damaged: check the network and its packet size" in str(told.get(timeout=PATIENCE_S))
    camera.close()


@pytest.mark.slow
def test_latest_counts_what_it_let_go(start: Start, name: str) -> None:
    start()
    camera = clipspect.sources.camera(camera_id(name))
    items = []
    for item in camera:
        items.append(item)
        time.sleep(0.2)
        if len(items) == 10:
            break
    camera.close()
    for before, after in itertools.pairwise(items):
        assert after.number - before.number == after.dropped + 1
    assert sum(item.dropped for item in items) == pytest.approx(9 * 4, abs=12)


@pytest.mark.parametrize(
    "pixel_format",
    ["BayerRG8", *(pytest.param(each, marks=pytest.mark.slow) for each in ("Mono16", "BayerGB8", "RGB8"))],
)
def test_settings_are_the_cameras_and_its_formats_become_pixels(start: Start, name: str, pixel_format: str) -> None:
    start()
    camera = clipspect.sources.camera(f"{camera_id(name)}?PixelFormat={pixel_format}")
    item = next(iter(camera))
    camera.close()
    assert np.asarray(item.frame).shape == ((512, 512) if pixel_format == "Mono16" else (512, 512, 3))
    assert np.ptp(np.asarray(item.frame)) > 50  # a picture, not an empty buffer


@pytest.mark.slow
def test_settings_that_the_camera_does_not_know_are_an_error(start: Start, name: str) -> None:
    start()
    with pytest.raises(ClipspectError, match="NoSuchFeature"):
        next(iter(clipspect.sources.camera(f"{camera_id(name)}?NoSuchFeature=1")))


@pytest.mark.slow
def test_incomplete_frames_are_counted_and_never_inspected(start: Start, name: str) -> None:
    start("-r", "20")  # of a thousand packets lost; those that a camera sends again are lost now and then, too
    camera = clipspect.sources.camera(camera_id(name), policy="block")
    items = list(itertools.islice(camera, 30))
    camera.close()
    for before, after in itertools.pairwise(items):
        assert after.number - before.number == after.dropped + 1
    assert sum(item.dropped for item in items) > 0
    assert all(np.asarray(item.frame).shape == (512, 512) for item in items)


@pytest.mark.slow
def test_a_camera_that_is_unplugged_is_told_and_comes_back_with_its_numbers_going_on(start: Start, name: str) -> None:
    told: list[str | None] = []
    process = start()
    camera = clipspect.sources.camera(camera_id(name), policy="block", problem=told.append)
    items = iter(camera)
    first = [next(items) for _ in range(5)]
    process.kill()
    process.wait()
    threading.Timer(1.0, start).start()
    end = time.monotonic() + PATIENCE_S
    while not any(text and text.endswith("connecting again until it answers") for text in told):
        next(items)
        assert time.monotonic() < end
    after = next(items)
    camera.close()
    assert after.number > first[-1].number
    assert told[-1] is None


@pytest.mark.slow
def test_run_inspects_an_industrial_camera(start: Start, name: str, tiny_bundle: Path) -> None:
    import json
    import signal

    start()
    command = [sys.executable, "-m", "clipspect", "run", str(tiny_bundle), f"aravis:{camera_id(name)}", "--json"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout is not None
    record = json.loads(run.stdout.readline())
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, said
    assert record["item"]["source"] == f"aravis:{camera_id(name)}"
    assert record["latency_ms"] > 0


@pytest.mark.parametrize(
    ("last", "number", "missing"),
    [(None, 7, 0), (7, 8, 0), (7, 11, 3), (65535, 1, 0), (65534, 2, 2), (65535, 65536, 0), (500, 1, 0), (0, 0, 0)],
)
def test_numbers_that_the_camera_begins_anew_are_no_gap(last: int | None, number: int, missing: int) -> None:
    assert _missing(last, number) == missing


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aravis_library, "_FILE", "libnone.so.0")
    aravis_library.aravis.cache_clear()
    with pytest.raises(ClipspectError, match=r"apt install libaravis-0\.8-0"):
        clipspect.sources.open_source("aravis:")
    aravis_library.aravis.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["block", "latest"])
def test_five_minutes_take_no_more_memory_and_count_every_frame(start: Start, name: str, policy: str) -> None:
    start()
    camera = clipspect.sources.camera(camera_id(name), policy=policy)
    end, seen, dropped, memory, last = time.monotonic() + SECONDS, 0, 0, list[float](), -1
    for item in camera:
        assert item.number - last == item.dropped + 1
        seen, dropped, last = seen + 1, dropped + item.dropped, item.number
        memory.append(_resident_mb())
        if policy == "latest":
            time.sleep(0.1)
        if time.monotonic() > end:
            break
    camera.close()
    early, late = np.mean(memory[len(memory) // 10 : len(memory) // 5]), np.mean(memory[-len(memory) // 10 :])
    print(f"{policy}: {seen} frames, {dropped} dropped, {early:.1f} MB early, {late:.1f} MB late")
    assert late < early * 1.02
    assert dropped == 0 if policy == "block" else dropped > seen / 2
    assert seen + dropped == last + 1


def _resident_mb() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
