"""Cameras that come and go: waits, numbers, and what an outage took."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipspect.base.errors import ClipspectError
from clipspect.sources import live
from clipspect.sources.capture_clock import CaptureClock
from clipspect.sources.live import CameraAwayError, CameraRefusedError, Live, Shot, waiting_time

FRAME = np.zeros((2, 2), np.uint8)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FIRST_WAIT_S", 0.01)


def shot(captured: float, lost: int = 0) -> Shot:
    return Shot(lambda: FRAME, captured, lost=lost)


def test_waits_double_up_to_half_a_minute_and_no_two_boxes_wait_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FIRST_WAIT_S", 0.5)
    for failures, expected in enumerate([0.5, 1, 2, 4, 8, 16, 30, 30]):
        waits = {waiting_time(failures) for _ in range(50)}
        assert expected * 0.8 <= min(waits) < max(waits) <= expected * 1.2
    assert waiting_time(10**6) <= 36


def test_numbers_go_on_after_an_outage_which_counts_the_frames_that_it_took() -> None:
    sessions = iter([[shot(10 + n / 25) for n in range(10)], [shot(20, lost=2), shot(20.04, lost=1)]])

    def connect() -> Generator[Shot, None, None]:
        yield from next(sessions, [])
        raise CameraAwayError("camera: lost")

    told: list[str | None] = []
    camera = Live("camera", connect, policy="block", problem=told.append)
    items = iter(camera)
    got = [next(items) for _ in range(12)]
    camera.close()
    assert [item.dropped for item in got] == [0] * 10 + [round((20 - 10.36) * 25) - 1, 1]
    assert [item.number for item in got[9:]] == [9, 250, 252]
    assert got[-1].seconds == pytest.approx(10.04)
    assert "camera: lost: connecting again until it answers" in told


def test_a_camera_of_damaged_frames_alone_is_told_of_and_one_that_gives_whole_ones_now_and_then_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(live, "monotonic", lambda: clock[0])
    frames = live.DamagedFrames("camera")
    for _ in range(5):
        for _ in range(20):
            clock[0] += live.DAMAGED_S / 20
            frames.add()
        assert frames.taken() == 20
    assert frames.taken() == 0
    for _ in range(9):  # of a trigger that comes once an hour
        clock[0] += 3600
        frames.add()
    with pytest.raises(CameraAwayError, match="camera: each of 10 frames came damaged"):
        frames.add()


def test_a_refusal_is_an_error_of_the_address_before_the_first_frame_and_an_outage_after_it() -> None:
    answers = iter([[shot(1)], CameraRefusedError("camera: 404"), [shot(2)], ClipspectError("camera: broken")])

    def connect() -> Generator[Shot, None, None]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        yield from answer
        raise CameraAwayError("camera: lost")

    items = iter(Live("camera", connect, policy="block", problem=lambda text: None))
    assert [next(items).number, next(items).number] == [0, 1]
    with pytest.raises(ClipspectError, match="camera: broken"):
        next(items)

    def refused() -> Generator[Shot, None, None]:
        raise CameraRefusedError("camera: 404")
        yield

    with pytest.raises(ClipspectError, match="camera: 404"):
        list(Live("camera", refused, problem=lambda text: None))


def test_what_nobody_expected_of_a_driver_ends_the_source_with_one_clear_error() -> None:
    def connect() -> Generator[Shot, None, None]:
        yield shot(1)
        raise RuntimeError("driver")

    items = iter(Live("camera", connect, policy="block"))
    next(items)
    with pytest.raises(ClipspectError, match=r"camera: the source failed \(RuntimeError: driver\)"):
        next(items)


@given(
    st.lists(st.floats(0, 0.5), min_size=2, max_size=50),
    st.floats(-1e5, 1e5),
    st.floats(-1e-4, 1e-4),
)
def test_a_capture_is_never_after_its_arrival_and_late_frames_keep_their_time(
    delays: list[float], offset: float, drift: float
) -> None:
    clock, delays = CaptureClock(), [0.0, *delays]
    for number, delay in enumerate(delays):
        real = number / 25
        captured = clock.captured(offset + real * (1 + drift), 100 + real + delay)
        assert captured <= 100 + real + delay + 1e-9
        assert captured == pytest.approx(100 + real, abs=2e-3)


def test_a_camera_that_sets_its_clock_back_begins_anew() -> None:
    clock = CaptureClock()
    assert clock.captured(50, 100) == 100
    assert clock.captured(51, 101.2) == pytest.approx(101, abs=1e-3)
    assert clock.captured(3, 102) == 102
    assert clock.captured(None, 103) == 103
