"""The pictures that a report keeps while many frames go by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clipspect
from clipspect.base.errors import ImageError
from clipspect.frame.item import Item
from clipspect.frame.prepare import prepare
from clipspect.frame.spec import ImageSpec
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.result import Result, Timings
from clipspect.sinks.report_pictures import WorstPictures
from support import handmade


def outcome_of(score: float, name: str = "frame.png") -> Outcome:
    pixels = np.zeros((48, 64, 3), np.uint8)
    result = Result(
        name,
        score,
        np.zeros((32, 32), np.float32),
        (64, 48),
        handmade.make_recipe(),
        None,
        (),
        0.5,
        Timings(1, 1, 1, 1),
        handmade.QUALITY,
    )
    frame = prepare(pixels, ImageSpec(48, 64))
    return Outcome(Item("folder", 0, None, Path(name)), result, frame=frame)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 12), st.floats(0, 1)), max_size=40), st.integers(1, 5))
def test_the_parts_with_the_highest_scores_are_kept_whatever_their_order(
    frames: list[tuple[int, float]], count: int
) -> None:
    worst, highest = WorstPictures(count), dict[str, float]()
    for part, score in frames:
        worst.take(outcome_of(score), str(part))
        highest[str(part)] = max(score, highest.get(str(part), 0.0))
        assert len(worst.pictures) <= count
    kept = [picture.score for picture in worst.pictures]
    assert kept == sorted(highest.values(), reverse=True)[:count]
    assert all(highest[picture.name] == picture.score for picture in worst.pictures)


@settings(max_examples=60)
@given(st.lists(st.floats(0, 1), max_size=30))
def test_the_lowest_are_those_nearest_to_pass(scores: list[float]) -> None:
    lowest = WorstPictures(4, lowest=True)
    for number, score in enumerate(scores):
        lowest.take(outcome_of(score), str(number))
    assert [picture.score for picture in lowest.pictures] == sorted(scores)[:4]


def test_a_part_with_one_high_frame_is_not_among_the_lowest() -> None:
    lowest = WorstPictures(1, lowest=True)
    for part, score in (("a", 0.5), ("b", 0.9), ("b", 0.1)):
        lowest.take(outcome_of(score), part)
    assert [(picture.name, picture.score) for picture in lowest.pictures] == [("a", 0.5)]


def test_a_kept_picture_is_small_and_has_its_map_in_its_size(tiny_bundle: Path) -> None:
    worst = WorstPictures(1)
    with clipspect.load(tiny_bundle, backend="onnxruntime") as inspector:
        (outcome,) = inspector.stream([handmade.spotted(1200, 900)], keep_pictures=True)
        (without,) = inspector.stream([handmade.spotted()])
    worst.take(outcome)
    (picture,) = worst.pictures
    assert picture.image.size == (320, 240)
    assert picture.anomaly_map.shape == (240, 320)
    assert picture.anomaly_map[90, 120] > 0.9  # inside the spot
    assert picture.anomaly_map[200, 280] < 0.2
    with pytest.raises(ImageError, match="its picture was not kept"):
        WorstPictures().take(without)
