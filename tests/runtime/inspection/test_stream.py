"""Streams: order, errors of single frames, what is fetched ahead, and what stays when one is left."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import clipspect
from clipspect.base.errors import BackendError, ClipspectError, ImageError
from clipspect.frame.item import Item
from clipspect.inspection.inspector import Inspector
from clipspect.recipes.limits import Limits
from support import handmade

WORKERS = 2
AHEAD = 16  # more frames than are ever under way with WORKERS and batches of 1


@pytest.fixture
def inspector(tiny_bundle: Path) -> Iterator[Inspector]:
    with clipspect.load(tiny_bundle, threads=WORKERS) as loaded:
        yield loaded
    assert not ours()


def ours() -> list[str]:
    """The names of this package's threads that are alive."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("clipspect")]


def grey(value: int) -> np.ndarray[Any, Any]:
    return np.full((6, 9), value, np.uint8)


def scores(outcomes: Iterator[Any]) -> list[float]:
    return [round(outcome.require().score * 255) for outcome in outcomes]


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 100])
def test_a_stream_answers_every_frame_in_order_as_one_by_one(inspector: Inspector, batch: int) -> None:
    rng = np.random.default_rng(batch)
    frames = [rng.integers(0, 256, (*rng.integers(1, 90, 2), 3), np.uint8) for _ in range(20)]
    outcomes = list(inspector.stream(frames, batch))
    assert [outcome.item.number for outcome in outcomes] == list(range(len(frames)))
    for outcome in outcomes:
        frame, result = frames[outcome.item.number], outcome.require()
        assert outcome.item.frame is frame
        alone = inspector.inspect(frame)
        assert result.score == alone.score
        assert result.regions == alone.regions
        np.testing.assert_array_equal(result.anomaly_map, alone.anomaly_map)
        assert result.anomaly_map.shape == frame.shape[:2]


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_frame_that_cannot_be_read_is_its_own_error_and_the_others_go_on(
    inspector: Inspector, tmp_path: Path, batch: int
) -> None:
    (tmp_path / "bad.png").write_text("not an image")
    frames = [grey(1), tmp_path / "bad.png", grey(2), np.zeros((3, 3, 4), np.uint8), tmp_path / "none.png", grey(3)]
    outcomes = list(inspector.stream(frames, batch))
    assert [outcome.error is not None for outcome in outcomes] == [False, True, False, True, True, False]
    assert scores(outcome for outcome in outcomes if outcome.error is None) == [1, 2, 3]
    assert "bad.png: not an image" in str(outcomes[1].error)
    with pytest.raises(ImageError, match="not an image"):
        outcomes[1].require()


def test_nothing_but_errors_is_a_stream_too(inspector: Inspector, tmp_path: Path) -> None:
    outcomes = list(inspector.stream([tmp_path / f"{number}.png" for number in range(5)], 2))
    named = [str(tmp_path / f"{number}.png") for number in range(5)]
    assert [str(outcome.error).split(":")[0] for outcome in outcomes] == named
    assert [outcome.item.name for outcome in outcomes] == named


def test_an_empty_stream_is_empty(inspector: Inspector) -> None:
    assert list(inspector.stream([])) == []


def test_no_more_frames_are_fetched_than_are_under_way(inspector: Inspector) -> None:
    fetched = 0

    def camera() -> Iterator[np.ndarray[Any, Any]]:
        nonlocal fetched
        for number in itertools.count():
            fetched = number + 1
            yield grey(number % 256)

    results = inspector.stream(camera())
    for taken in range(1, 60):
        next(results)
        assert taken <= fetched <= taken + AHEAD
    results.close()
    assert fetched <= 60 + AHEAD


def test_nothing_is_fetched_before_the_first_result_is_asked_for(inspector: Inspector) -> None:
    source = iter([grey(1), grey(2)])
    results = inspector.stream(source)
    assert len(list(source)) == 2
    assert list(results) == []


def test_a_result_does_not_wait_for_the_next_frame(inspector: Inspector) -> None:
    shown = threading.Event()

    def triggered() -> Iterator[np.ndarray[Any, Any]]:
        for number in range(5):
            yield grey(number)
            assert shown.wait(timeout=60)  # the next part comes when the verdict on the last one is there
            shown.clear()

    found = []
    for result in inspector.stream(triggered()):
        found.append(result)
        shown.set()
    assert scores(iter(found)) == [0, 1, 2, 3, 4]


def test_a_stream_that_is_left_early_leaves_no_thread(tiny_bundle: Path) -> None:
    with clipspect.load(tiny_bundle, threads=WORKERS) as inspector:
        for number, _ in enumerate(inspector.stream(itertools.repeat(grey(5)), 3)):
            assert ours()
            if number == 4:
                break
        assert not ours()
        assert inspector.inspect(grey(7)).score == pytest.approx(7 / 255)


def test_an_interrupt_in_the_consumer_leaves_no_thread(tiny_bundle: Path) -> None:
    def inspect() -> None:
        with clipspect.load(tiny_bundle, threads=WORKERS) as inspector:
            for _ in inspector.stream(itertools.repeat(grey(5))):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inspect()
    assert not ours()


def test_what_the_source_raises_comes_after_the_results_before_it(inspector: Inspector) -> None:
    def failing() -> Iterator[np.ndarray[Any, Any]]:
        yield from (grey(number) for number in range(5))
        raise OSError("the camera was unplugged")

    found: list[Any] = []
    with pytest.raises(OSError, match="unplugged"):
        found.extend(inspector.stream(failing(), 2))
    assert scores(iter(found)) == [0, 1, 2, 3, 4]
    assert not ours()


def test_an_engine_that_fails_ends_the_stream_with_its_error(tiny_bundle: Path) -> None:
    inspector = clipspect.load(tiny_bundle, threads=WORKERS)
    results = inspector.stream([grey(1)] * 50)
    next(results)
    inspector.close()
    with pytest.raises(BackendError, match="closed"):
        list(results)
    assert not ours()


class Trigger:
    """Frames, the last of which never comes until `release` is called."""

    def __init__(self, before_the_last: Callable[[], object] = lambda: None) -> None:
        self._before_the_last = before_the_last
        self._released = threading.Event()

    def frames(self) -> Iterator[np.ndarray[Any, Any]]:
        yield grey(1)
        self._before_the_last()
        yield grey(2)
        self._released.wait(timeout=300)
        yield grey(3)

    def release(self) -> None:
        assert ours() == ["clipspect-source"]
        self._released.set()
        while ours():
            time.sleep(0.01)


@pytest.mark.parametrize("leave", [GeneratorExit, KeyboardInterrupt])
def test_a_stream_can_be_left_while_its_source_waits_for_a_frame_that_never_comes(
    tiny_bundle: Path, leave: type[BaseException]
) -> None:
    trigger = Trigger()
    with clipspect.load(tiny_bundle, threads=WORKERS) as inspector:
        outcomes = inspector.stream(trigger.frames())
        assert scores(itertools.islice(outcomes, 2)) == [1, 2]
        with pytest.raises(leave):
            outcomes.throw(leave)
        trigger.release()


def test_an_engine_that_fails_ends_the_stream_while_its_source_waits_for_a_frame_that_never_comes(
    tiny_bundle: Path,
) -> None:
    inspector = clipspect.load(tiny_bundle, threads=WORKERS)
    trigger = Trigger(before_the_last=inspector.close)
    with pytest.raises(BackendError, match="closed"):
        list(inspector.stream(trigger.frames()))
    trigger.release()


def test_two_streams_of_one_inspector_share_its_engine(inspector: Inspector) -> None:
    pairs = zip(
        inspector.stream(grey(n) for n in range(30)), inspector.stream((grey(n + 100) for n in range(30)), batch=4)
    )
    assert [(scores(iter(pair))) for pair in pairs] == [[n, n + 100] for n in range(30)]


def test_a_recipe_switched_in_a_stream_brings_its_scores_and_its_limits_together(tiny_bundle: Path) -> None:
    twice = {"text_features": np.full((2, 1, handmade.DIM), 2, np.float32)}
    strict = handmade.make_recipe("strict", limits=Limits(0.1, 0.1))
    mild = handmade.make_recipe("mild", limits=Limits(0.9, 0.9), tensors=twice)
    judged = []
    with clipspect.load(tiny_bundle, recipe=strict, threads=WORKERS) as inspector:
        for outcome in inspector.stream(handmade.grey(51) for _ in range(2 * AHEAD)):
            result = outcome.require()
            judged.append((round(result.score, 3), result.verdict))
            if outcome.item.number == 0:
                inspector.use_recipe(mild)
    old = judged.count((0.2, "fail"))
    assert 1 <= old <= AHEAD
    assert judged == [(0.2, "fail")] * old + [(0.4, "pass")] * (2 * AHEAD - old)


def test_full_size_pictures_are_kept_only_where_they_are_asked_for(inspector: Inspector) -> None:
    picture = handmade.spotted(width=300, height=200)
    (kept,) = inspector.stream([picture], keep_pictures=True)
    assert kept.frame is not None
    np.testing.assert_array_equal(np.asarray(kept.frame.image), picture)
    (dropped,) = inspector.stream([picture])
    assert dropped.frame is None
    assert dropped.require().size == (300, 200)


def test_items_keep_their_identity_and_plain_frames_become_the_callers(inspector: Inspector) -> None:
    captured = datetime(2026, 11, 27, 9, 30, tzinfo=timezone.utc)
    items = [Item("camera:0", 41, captured, grey(3)), Item("camera:0", 43, None, grey(4))]
    assert [outcome.item for outcome in inspector.stream(items)] == items
    before = datetime.now(timezone.utc)
    first, second = [outcome.item for outcome in inspector.stream([grey(1), grey(2)])]
    assert (first.source, first.number, first.name) == ("caller", 0, "caller#0")
    assert (second.source, second.number, second.name) == ("caller", 1, "caller#1")
    assert first.captured_at is not None
    assert before <= first.captured_at <= datetime.now(timezone.utc)


def test_a_frame_that_its_source_could_not_read_is_an_outcome_among_the_others(inspector: Inspector) -> None:
    lost = Item("rtsp://1", 1, None, ImageError("rtsp://1: damaged"), dropped=3)
    outcomes = list(inspector.stream([grey(1), lost, grey(2)]))
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert (str(outcomes[1].error), outcomes[1].item.name) == ("rtsp://1: damaged", "rtsp://1#1")


@pytest.mark.parametrize("batch", [0, -1, True, 1.5])
def test_a_batch_that_is_no_number_of_frames_is_refused_at_once(inspector: Inspector, batch: Any) -> None:
    with pytest.raises(ClipspectError, match="batch: expected a number from 1"):
        inspector.stream([grey(1)], batch)


def test_one_frame_is_not_taken_for_a_stream(inspector: Inspector) -> None:
    for frame in ("part.png", grey(1), np.zeros((4, 4, 3), np.uint8)):
        with pytest.raises(ImageError, match="stream takes several frames"):
            inspector.stream(frame)  # type: ignore[arg-type]
