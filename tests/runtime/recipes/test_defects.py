"""What defective parts show at limits: bounds against SciPy, counts and the best F1 against scikit-learn."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binomtest
from sklearn.metrics import f1_score

from clipspect import Limits, RecipeError
from clipspect.recipes.calibration import Calibration, PartScore, Scorer
from clipspect.recipes.defects import best_f1, defects_of, escapes_of
from clipspect.recipes.limits import Promise
from clipspect.recipes.promise import parts_needed
from clipspect.recipes.proportion import Proportion, ppm
from support import handmade

LIMITS = Limits(0.4, 0.6)
COUNTS = st.integers(1, 400).flatmap(lambda parts: st.tuples(st.integers(0, parts), st.just(parts)))


@settings(max_examples=40)
@given(COUNTS, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_bounds_are_scipys(counted: tuple[int, int], confidence: float) -> None:
    count, parts = counted
    found = Proportion(count, parts, confidence)
    upper = 1.0 if count == parts else beta.ppf(confidence, count + 1, parts - count)
    lower = 0.0 if count == 0 else beta.ppf(1 - confidence, count, parts - count + 1)
    exact = binomtest(count, parts).proportion_ci(confidence, "exact")
    assert found.at_most == pytest.approx(upper, abs=1e-9)
    assert found.at_least == pytest.approx(lower, abs=1e-9)
    assert found.interval == pytest.approx((exact.low, exact.high), abs=1e-9)


@settings(max_examples=40)
@given(st.integers(0, 8), st.sampled_from([0.3, 0.1, 0.05, 0.01]), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_parts_that_are_asked_for_are_the_fewest_that_show_the_rate(
    count: int, rate: float, confidence: float
) -> None:
    parts = parts_needed(rate, confidence, count + 1)
    assert Proportion(count, parts, confidence).at_most <= rate + 1e-12
    assert parts - 1 <= count or Proportion(count, parts - 1, confidence).at_most > rate


def test_no_escape_of_29_is_at_most_9_8_percent_and_of_59_at_most_5() -> None:
    few, more = (escapes_of(LIMITS, [0.1], np.ones(count)) for count in (29, 59))
    assert few.escaped.at_most == pytest.approx(1 - 0.05 ** (1 / 29))
    assert "escape rate: 0 of 29 pass: at most 9.8 % (98,000 PPM) of defective parts like these do, 95 % sure" in (
        few.lines()
    )
    assert "more defects: 30 more of which none passes would show at most 5 % (95 % sure)" in few.lines()
    assert any("at most 5 % (50,000 PPM)" in line for line in more.lines())
    assert few.document()["escape_rate"]["at_most_ppm"] == pytest.approx(98144, abs=1)


def test_without_defects_the_escape_rate_is_unknown() -> None:
    found = escapes_of(LIMITS, [0.1, 0.2], [])
    more = "29 of which none passes would show at most 10 % (95 % sure)"
    assert found.lines() == [f"escape rate: unknown: no defective part was scored; {more}"]
    assert found.document()["escape_rate"] is None
    assert found.document()["best_f1"] is None
    assert found.escaped.interval == (0.0, 1.0)


def test_a_score_is_counted_as_the_verdict_would_be() -> None:
    below, at_review, at_reject = math.nextafter(0.4, 0), 0.4, 0.6
    found = escapes_of(LIMITS, [0.1], [below, at_review, math.nextafter(0.6, 0), at_reject])
    assert (found.escaped.count, found.not_failed.count, found.parts) == (1, 3, 4)
    assert found.lines()[0] == "defects caught: 3 of 4 (1 fail, 2 uncertain)"


def test_where_many_pass_nothing_is_said_of_more_parts() -> None:
    assert not any(line.startswith("more defects") for line in escapes_of(LIMITS, [0.1], np.zeros(10)).lines())
    assert not any(line.startswith("more defects") for line in escapes_of(LIMITS, [0.1], np.ones(500)).lines())


@settings(max_examples=30)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=25), st.lists(st.integers(0, 8), min_size=1, max_size=25))
def test_the_best_f1_is_the_largest_that_any_limit_reaches(good: list[int], defects: list[int]) -> None:
    labels, scores = [False] * len(good) + [True] * len(defects), np.array(good + defects)
    found = best_f1(good, defects)
    reached = {limit: f1_score(labels, scores >= limit) for limit in range(10)}
    assert found.f1 == pytest.approx(max(reached.values()))
    assert found.limit == max(limit for limit, f1 in reached.items() if math.isclose(f1, found.f1))
    assert found.false_rejects.count == sum(score >= found.limit for score in good)
    assert found.missed.count == sum(score < found.limit for score in defects)
    assert "promises nothing" in escapes_of(LIMITS, good, defects).lines()[-1]


def test_a_recipes_defects_are_judged_by_its_limits_with_the_confidence_of_their_promise() -> None:
    by_hand = handmade.make_recipe(limits=LIMITS)
    assert defects_of(handmade.make_recipe()) is None
    unknown = defects_of(by_hand)
    assert unknown is not None
    assert unknown.lines()[0].startswith("escape rate: unknown")
    promise = Promise(rate=0.1, confidence=0.8, parts=16, rank=1, asked=0.1)
    good = (PartScore("1", 0.1, 0.1), PartScore("2", 0.9, 0.1, struck=True))
    calibration = Calibration(
        "2026-11-27T12:00:00+00:00",
        Scorer("b", "t", "onnxruntime", "cpu", "fp32", "0"),
        good,
        defects=(PartScore("3", 0.2, 0.9), PartScore("4", 0.8, 0.9)),
    )
    limits = dataclasses.replace(LIMITS, reject_promise=promise)
    found = defects_of(dataclasses.replace(by_hand, limits=limits, calibration=calibration))
    assert found is not None
    assert (found.escaped.count, found.parts, found.escaped.confidence) == (1, 2, 0.8)
    assert found.best_f1 is not None
    assert found.best_f1.false_rejects.parts == 1  # a struck part is not a good one


@given(st.integers(1, 10**6), st.integers(0, 10**6))
@example(105_000, 1)
@example(666_667, 1)
def test_parts_per_million_are_the_share_to_two_digits(parts: int, count: int) -> None:
    assume(0 < count <= parts)
    shown = float(ppm(count / parts).removesuffix(" PPM").replace(",", ""))
    assert shown == pytest.approx(count / parts * 1e6, rel=0.05)


@pytest.mark.parametrize("bad", [[math.nan], [math.inf], ["x"], [[0.1]], None])
def test_scores_that_are_none_are_refused(bad: object) -> None:
    with pytest.raises(RecipeError, match="scores of defective parts: expected finite numbers"):
        escapes_of(LIMITS, [0.1], bad)  # type: ignore[arg-type]


def test_a_proportion_of_more_than_all_is_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        Proportion(3, 2)


def test_parts_whose_frames_are_invalid_neither_fail_nor_pass_and_count() -> None:
    recipe = handmade.make_recipe(limits=LIMITS)
    defects = (PartScore("1", 0.7, 0.7), PartScore("2", 0.9, 0.9, invalid=True), PartScore("3", 0.5, 0.5))
    scorer = Scorer("b" * 64, recipe.tensors_digest, "onnxruntime", "cpu", "fp32", "0")
    calibration = Calibration("2026-11-27T12:00:00+00:00", scorer, (PartScore("0", 0.1, 0.1),), defects=defects)
    found = defects_of(dataclasses.replace(recipe, calibration=calibration))
    assert found is not None
    assert (found.parts, found.failed, found.invalid) == (3, 1, 1)
    assert (found.escaped.count, found.escaped.parts, found.not_failed.count) == (0, 3, 2)
    assert found.best_f1 is not None
    assert found.best_f1.missed.parts == 2
    caught = "defects caught: 2 of 3 (1 fail, 1 uncertain); 1 more are invalid: their frames are unlike those of good"
    assert found.lines()[0].startswith(caught)
    assert "not failed: 2 of 3 pass, are uncertain or invalid, 67 %" in found.lines()[2]
    assert found.document()["invalid_parts"] == 1
