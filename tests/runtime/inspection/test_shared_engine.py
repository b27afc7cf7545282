"""Several inspectors over one engine: products, cameras and threads, without a wrong pairing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import clipspect
from clipspect.base.errors import BackendError, RecipeError
from clipspect.frame.item import Item
from clipspect.inspection.inspector import Inspector
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import Recipe
from support import handmade

SWITCHES = 10_000


def scaled(factor: float, limits: Limits | None = None) -> Recipe:
    """A recipe that scores a grey frame by its brightness times the factor."""
    features = np.full((2, 1, handmade.DIM), factor, np.float32)
    return handmade.make_recipe(f"times {factor:g}", limits=limits, tensors={"text_features": features})


def grey(value: int) -> np.ndarray:
    return np.full((8, 8), value, np.uint8)


@pytest.fixture
def inspector(tiny_bundle: Path) -> Iterator[Inspector]:
    with clipspect.load(tiny_bundle, scaled(1)) as loaded:
        yield loaded


def test_two_recipes_and_two_threads_answer_bit_equal_to_one_after_the_other(inspector: Inspector) -> None:
    frames = [handmade.spotted(20 + n, 30) for n in range(40)]
    with inspector.with_recipe(scaled(2)) as second:
        alone = [[one.inspect(frame) for frame in frames] for one in (inspector, second)]
        with ThreadPoolExecutor(2) as pool:
            at_once = list(pool.map(lambda one: [o.require() for o in one.stream(frames, 3)], (inspector, second)))
    for expected, found in zip(alone, at_once):
        assert [result.score for result in found] == [result.score for result in expected]
        for before, after in zip(expected, found):
            np.testing.assert_array_equal(after.anomaly_map, before.anomaly_map)
    assert alone[0][0].score != alone[1][0].score


def test_ten_thousand_switches_under_load_pair_no_frame_with_another_recipe(tiny_bundle: Path) -> None:
    """Score, limits and frame belong together, whoever switches while frames are under way."""
    low, high = scaled(0.5, Limits(0.2, 0.2)), scaled(1, Limits(0.9, 0.9))
    over, answered = threading.Event(), threading.Event()

    def frames() -> Iterator[Item]:
        number = 0
        while not over.is_set():
            yield Item("camera", number, None, handmade.grey(20 + number % 200))
            number += 1

    wrong, seen, used = [], 0, set()
    with clipspect.load(tiny_bundle, low) as inspector, ThreadPoolExecutor(1) as pool:

        def switch() -> None:
            try:
                for number in range(SWITCHES):
                    inspector.use_recipe((low, high)[number % 2])
                    if number % 50 == 0:  # so that frames come in between
                        answered.wait(timeout=60)
                        answered.clear()
            finally:
                over.set()

        switched = pool.submit(switch)
        for outcome in inspector.stream(frames()):
            result, brightness = outcome.require(), (20 + outcome.item.number % 200) / 255
            by_low = result.score == pytest.approx(brightness / 2, abs=1e-6)
            by_high = result.score == pytest.approx(brightness, abs=1e-6)
            limit = 0.2 if by_low else 0.9
            if not (by_low or by_high) or (result.verdict == "fail") != (result.score >= limit):
                wrong.append((outcome.item.number, result.score, result.verdict))
            used.add(by_low)
            seen += 1
            answered.set()
        switched.result()
    assert wrong == []
    assert seen > SWITCHES / 100
    assert used == {True, False}


def test_the_engine_stays_open_until_the_last_inspector_is_closed(tiny_bundle: Path) -> None:
    first = clipspect.load(tiny_bundle)
    second = first.with_recipe("object")
    first.close()
    first.close()
    with pytest.raises(BackendError, match="the inspector is closed"):
        first.inspect(grey(51))
    with pytest.raises(BackendError, match="the inspector is closed"):
        list(first.stream([grey(51)]))
    assert second.inspect(grey(51)).score == pytest.approx(0.2)
    third = second.with_recipe(scaled(2))
    second.close()
    assert third.inspect(grey(51)).score == pytest.approx(0.4)
    third.close()
    with pytest.raises(BackendError, match="the inspector is closed"):
        third.with_recipe("object")


def test_a_second_inspector_keeps_the_map_limit_that_was_given(tiny_bundle: Path) -> None:
    with clipspect.load(tiny_bundle, map_limit=0.125) as first, first.with_recipe(scaled(2)) as second:
        assert second.map_limit == first.map_limit == 0.125


def test_a_recipe_of_other_weights_gets_no_second_inspector(inspector: Inspector) -> None:
    with pytest.raises(RecipeError, match="made for other encoder weights"):
        inspector.with_recipe(handmade.make_recipe("stranger", encoder_sha256="0" * 64))
    assert inspector.inspect(grey(51)).score == pytest.approx(0.2)


def test_answers_keep_the_outputs_that_were_asked_for(full_bundle: Path) -> None:
    rows = {f"reference_{name}": np.ones((2, 3), np.float32) for name in ("fine", "coarse")}
    few = handmade.make_recipe("few", tensors={"text_features": np.ones((2, 1, 4), np.float32), **rows})
    with clipspect.load(full_bundle, few, extras=["features_fine"]) as inspector:
        frames = [inspector.prepare(grey(value)) for value in (10, 20, 30)]
        answers = inspector.answer(frames)
        assert [set(answer.extras) for answer in answers] == [{"features_fine"}] * 3
        alone = inspector.answer(frames[1:2])[0]
        np.testing.assert_array_equal(answers[1].extras["features_fine"], alone.extras["features_fine"])
        assert alone.extras["features_fine"].shape[0] == 1
        with pytest.raises(BackendError, match="has no output 'features_fine'; there are: score, anomaly_map"):
            inspector.use_recipe("object")
    with pytest.raises(BackendError, match="has no output 'attention'"):
        clipspect.load(full_bundle, few, extras=["attention"])
