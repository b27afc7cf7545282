"""Outcomes that follow each other: an exponential filter that moves with the picture, and verdicts that stay."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

import clipspect
from clipspect.base.errors import ClipspectError, ImageError
from clipspect.cli import main
from clipspect.frame.item import Item
from clipspect.frame.judged_area import JudgedArea
from clipspect.frame.region_of_interest import Area, RegionOfInterest
from clipspect.frame.views import Box
from clipspect.inspection.explanation import Explanation
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.over_time import Hysteresis, Smoothing, smoothed, steady
from clipspect.inspection.regions import find_regions, regions_in_source
from clipspect.inspection.result import decide
from clipspect.recipes.limits import Limits
from demo.belt import HEIGHT, WIDTH, Belt, video
from support import handmade

LIMITS = Limits(0.4, 0.6)
SCORES = {"pass": 0.2, "uncertain": 0.5, "fail": 0.8}


@pytest.fixture(scope="module")
def belt(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """Frames of a belt that moves 8 pixels a frame, and what a tiny bundle says of them."""
    root = handmade.write_bundle(tmp_path_factory.mktemp("b") / "tiny.bundle")
    frames = list(video(Belt([False], noise=8, grain=20)))[5:20]
    with clipspect.load(root, handmade.make_recipe("nut", limits=LIMITS), backend="onnxruntime") as inspector:
        return list(inspector.stream(frames, keep_pictures=True))


def scored(template: Outcome, scores: Sequence[float | None]) -> Iterator[Outcome]:
    """Outcomes of these scores; None is a frame that could not be read."""
    result = template.require()
    for number, score in enumerate(scores):
        item = Item("camera", number, None, "frame")
        if score is None:
            yield Outcome(item, error=ImageError("damaged"))
        else:
            judged = dataclasses.replace(result, score=score, verdict=decide(score, LIMITS), limits=LIMITS)
            yield Outcome(item, judged)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.05, 1))
def test_scores_are_filtered_as_scipy_does(belt: list[Outcome], scores: list[float], weight: float) -> None:
    found = [outcome.require() for outcome in smoothed(scored(belt[0], scores), Smoothing(weight, motion=False))]
    expected, _ = lfilter([weight], [1, weight - 1], scores, zi=[(1 - weight) * scores[0]])
    np.testing.assert_allclose([result.score for result in found], expected, atol=1e-9)
    assert [result.verdict for result in found] == [decide(result.score, LIMITS) for result in found]


def test_a_weight_of_one_changes_nothing(belt: list[Outcome]) -> None:
    for before, after in zip(belt, smoothed(belt, Smoothing(1.0)), strict=True):
        one, other = before.require(), after.require()
        assert (one.score, one.verdict, one.regions) == (other.score, other.verdict, other.regions)
        np.testing.assert_array_equal(one.model_map, other.model_map)


def test_a_mark_that_moves_with_the_belt_stays_in_one_place_of_the_filtered_map_and_smears_without_motion(
    belt: list[Outcome],
) -> None:
    """The map of each frame is a mark that is drawn where the belt has carried it."""

    def marked() -> Iterator[Outcome]:
        for number, outcome in enumerate(belt[:8]):
            result = outcome.require()
            rows, columns = result.model_map.shape
            model_map = np.zeros_like(result.model_map)
            place = round(columns * (40 + 8 * number) / result.size[0])
            model_map[rows // 2, place] = 1
            yield dataclasses.replace(outcome, result=dataclasses.replace(result, model_map=model_map))

    *_, moved = smoothed(marked(), Smoothing(0.2, motion=True))
    *_, still = smoothed(marked(), Smoothing(0.2, motion=False))
    assert moved.require().model_map.max() > 0.6
    assert still.require().model_map.max() < 0.4
    result = moved.require()
    assert result.regions == regions_in_source(result.model_map, *result.size, result.map_limit)


def test_the_filtered_map_of_a_cropped_view_has_its_regions_where_it_lies(belt: list[Outcome]) -> None:
    result = belt[0].require()
    marked = np.zeros_like(result.model_map)
    marked[0, 0] = 1
    cropped = dataclasses.replace(result, model_map=marked, map_box=Box(100, 40, 200, 140), map_limit=0.5)
    (found,) = smoothed([dataclasses.replace(belt[0], result=cropped)], Smoothing(0.5))
    (region,) = found.require().regions
    assert (region.x, region.y) == (100, 40)
    assert region.peak == found.require().anomaly_map.max()


def test_filtered_regions_lie_in_the_region_of_interest(belt: list[Outcome]) -> None:
    left = RegionOfInterest((WIDTH, HEIGHT), Area((((0, 0), (100, 0), (100, HEIGHT), (0, HEIGHT)),)))
    area = JudgedArea(left, (WIDTH, HEIGHT))
    judged = [
        dataclasses.replace(outcome, result=dataclasses.replace(outcome.require(), area=area, map_limit=0.3))
        for outcome in belt
    ]
    for found in smoothed(judged, Smoothing(0.5)):
        result = found.require()
        assert result.regions == find_regions(result.anomaly_map, 0.3)
        assert all(region.x + region.width <= 100 for region in result.regions)
        assert result.regions


def test_an_invalid_frame_and_an_unread_one_stay_as_they_are_and_are_mixed_with_nothing(belt: list[Outcome]) -> None:
    first, error, second = scored(belt[0], [0.2, None, 0.8])
    invalid = dataclasses.replace(second, result=dataclasses.replace(second.require(), verdict="invalid", score=9.0))
    found = list(smoothed([first, error, invalid, second], Smoothing(0.5, motion=False)))
    assert found[:3] == [found[0], error, invalid]
    assert found[3].require().score == pytest.approx(0.5)


def test_sources_are_filtered_apart(belt: list[Outcome]) -> None:
    outcomes = [
        dataclasses.replace(outcome, item=dataclasses.replace(outcome.item, source="ab"[number % 2]))
        for number, outcome in enumerate(scored(belt[0], [0.0, 1.0, 0.0, 1.0]))
    ]
    assert [found.require().score for found in smoothed(outcomes, Smoothing(0.3, False))] == [0.0, 1.0, 0.0, 1.0]


def test_motion_without_frames_is_refused(belt: list[Outcome]) -> None:
    with pytest.raises(ClipspectError, match="keep_pictures=True"):
        list(smoothed(scored(belt[0], [0.1]), Smoothing()))


def verdicts(template: Outcome, words: Sequence[str], hysteresis: Hysteresis) -> list[str | None]:
    outcomes = scored(template, [SCORES.get(word) for word in words])
    return [found.result and found.result.verdict for found in steady(outcomes, hysteresis)]


def test_a_verdict_changes_after_so_many_frames_in_a_row_and_the_frame_that_differs_has_a_note(
    belt: list[Outcome],
) -> None:
    words = ["pass", "fail", "pass", "fail", "fail", "error", "fail", "pass", "uncertain", "pass", "pass", "pass"]
    found = verdicts(belt[0], words, Hysteresis(3))
    assert found == ["pass"] * 5 + [None, "fail", "fail", "fail", "fail", "fail", "pass"]
    (first, second) = steady(scored(belt[0], [0.2, 0.8]), Hysteresis(2))
    assert first.require().notes == belt[0].require().notes
    assert "this frame alone is judged fail: a verdict changes after 2 in a row" in second.require().notes


@given(st.lists(st.sampled_from(sorted(SCORES)), min_size=1, max_size=20))
def test_one_frame_in_a_row_is_no_hysteresis(belt: list[Outcome], words: list[str]) -> None:
    assert verdicts(belt[0], words, Hysteresis(1)) == words


def test_a_score_far_over_the_limit_needs_no_second_frame(belt: list[Outcome]) -> None:
    for score, expected in ((0.65, "pass"), (0.75, "fail")):
        *_, found = steady(scored(belt[0], [0.2, score]), Hysteresis(3, margin=0.1))
        assert found.require().verdict == expected


def test_filtered_regions_do_not_have_the_reasons_of_the_single_frames(belt: list[Outcome]) -> None:
    explained = [
        dataclasses.replace(each, result=dataclasses.replace(each.require(), explanation=Explanation()))
        for each in belt
    ]
    assert {outcome.require().explanation for outcome in smoothed(explained, Smoothing(0.5))} == {None}


@pytest.mark.parametrize("make", [lambda: Hysteresis(0), lambda: Hysteresis(2, -1), lambda: Smoothing(0)])
def test_values_that_mean_nothing_are_refused(make: object) -> None:
    with pytest.raises(ClipspectError, match="expected"):
        make()  # type: ignore[operator]


def test_run_filters_and_steadies_where_it_is_asked_to(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    for number, frame in enumerate(frames_of(6)):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    run = ["run", str(tiny_bundle), str(tmp_path), "--backend", "onnxruntime", "--json"]

    def scores(*options: str) -> list[float]:
        assert main([*run, *options]) == 0
        return [json.loads(line)["score"] for line in capsys.readouterr().out.splitlines()]

    alone, filtered = scores(), scores("--smooth", "0.5", "--steady", "2")
    expected, _ = lfilter([0.5], [1, -0.5], alone, zi=[0.5 * alone[0]])
    np.testing.assert_allclose(filtered, expected, atol=1e-6)
    assert main([*run, "--smooth", "0.5", "--explain"]) == 1
    assert "leave --explain or --smooth out" in capsys.readouterr().err


def frames_of(count: int) -> list[np.ndarray]:
    return list(video(Belt([False], noise=8, grain=20)))[8 : 8 + count]
