"""Frames that wait: their order, what is let go, and that what is let go is counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import clipspect
from clipspect.base.errors import ClipspectError
from clipspect.sources.handover import Handover, handed_over
from clipspect.sources.policy import BLOCK, LATEST, Policy, parse_policy

FRAME = np.zeros((1, 1), np.uint8)


def item(number: int, dropped: int = 0) -> clipspect.Item:
    return clipspect.Item("camera", number, None, FRAME, dropped)


@given(room=st.integers(1, 4), steps=st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=40))
def test_what_is_taken_and_what_is_dropped_adds_up_and_a_number_follows_the_one_before(
    room: int, steps: list[tuple[bool, int]]
) -> None:
    handover = Handover(Policy(room, drops=True))
    number, waiting, taken = -1, 0, []
    for put, lost in steps:
        if put:
            number += 1 + lost
            assert handover.put(item(number, lost))
            waiting = min(waiting + 1, room)
        elif waiting:
            taken.append(handover.take())
            waiting -= 1
    handover.end()
    taken += list(handover)
    before = -1
    for each in taken:
        assert each is not None
        assert each.number - before == each.dropped + 1
        before = each.number
    assert before == number  # the newest is never let go


def test_latest_gives_the_newest_frame_and_a_queue_the_newest_few() -> None:
    for policy, expected in ((LATEST, [(9, 9)]), (parse_policy("queue:3"), [(7, 7), (8, 0), (9, 0)])):
        handover = Handover(policy)
        assert sum(handover.put(item(number)) for number in range(10)) == 10
        handover.end()
        assert [(each.number, each.dropped) for each in handover] == expected


def test_block_makes_the_camera_wait_and_drops_nothing() -> None:
    handover, done = Handover(BLOCK), threading.Event()

    def capture() -> None:
        for number in range(100):
            handover.put(item(number))
        done.set()
        handover.end()

    threading.Thread(target=capture, daemon=True).start()
    assert not done.wait(0.05)
    assert [(each.number, each.dropped) for each in handover] == [(number, 0) for number in range(100)]


def test_a_frame_that_is_let_go_is_never_made() -> None:
    made: list[int] = []

    def picture(number: int) -> np.ndarray:  # type: ignore[type-arg]
        made.append(number)
        return FRAME

    handover = Handover(LATEST)
    for number in range(5):
        handover.put(item(number), lambda number=number: picture(number))  # type: ignore[misc]
    assert handover.take() is not None
    assert made == [4]


def test_who_leaves_the_loop_lets_the_camera_go_that_waits_for_room() -> None:
    handover, answers = Handover(BLOCK), []
    thread = threading.Thread(target=lambda: answers.extend(handover.put(item(number)) for number in range(9)))
    thread.start()
    items = iter(handover)
    next(items)
    items.close()  # type: ignore[attr-defined]
    thread.join(10)
    assert answers[-1] is False


def test_what_a_source_raises_comes_after_the_frames_before_it() -> None:
    def source() -> Iterator[clipspect.Item]:
        yield item(0)
        raise RuntimeError("the driver said no")

    items = handed_over(source(), BLOCK)
    assert next(items).number == 0
    with pytest.raises(ClipspectError, match=r"the source failed \(RuntimeError: the driver said no\)"):
        next(items)


@pytest.mark.parametrize("text", ["", "newest", "queue", "queue:0", "queue:-1", "queue:10001", "queue:1.5"])
def test_a_policy_that_there_is_not_is_refused_with_those_that_there_are(text: str) -> None:
    with pytest.raises(ClipspectError, match="expected latest, block, or queue:N with N from 1 to 10,000"):
        parse_policy(text)


@pytest.mark.parametrize("text", ["latest", "block", "queue:2", "queue:10000"])
def test_a_policy_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_policy(text)) == text


def test_pushed_frames_come_numbered_with_their_time_until_the_source_is_closed() -> None:
    buffer = np.zeros((2, 2), np.uint8)
    with clipspect.sources.push("line 1", policy="queue:9") as camera:
        for value in range(4):
            buffer[:] = value  # a camera fills its buffer again
            assert camera.put(buffer, dropped=2 if value == 3 else 0)
    assert not camera.put(buffer)
    items = list(camera)
    assert [(each.source, each.number, each.dropped) for each in items] == [
        ("line 1", 0, 0), ("line 1", 1, 0), ("line 1", 2, 0), ("line 1", 5, 2),
    ]  # fmt: skip
    assert [int(np.asarray(each.frame).max()) for each in items] == [0, 1, 2, 3]
    assert all(each.captured_at is not None and each.captured_monotonic is not None for each in items)


def test_frames_pushed_by_a_thread_are_inspected_each_once_and_in_order(tiny_bundle: Path) -> None:
    camera = clipspect.sources.push()

    def capture() -> None:
        for value in range(20):
            camera.put(np.full((6, 9), value, np.uint8))
        camera.close()

    threading.Thread(target=capture, daemon=True).start()
    with clipspect.load(tiny_bundle, backend="onnxruntime") as inspector:
        outcomes = list(inspector.stream(camera))
    assert [outcome.item.number for outcome in outcomes] == list(range(20))
    assert [round(outcome.require().score * 255) for outcome in outcomes] == list(range(20))
