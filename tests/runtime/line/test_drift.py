"""Drift over records: which scores are compared with which, what is told, and what a restart keeps."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from clipspect.base.document import MismatchError
from clipspect.inspection.record import EngineRecord, RecipeRecord, Record
from clipspect.line.drift import NOT_PASSED, SCORE, Change, Drift, calibration_scores
from clipspect.line.drift_words import events
from clipspect.recipes.calibration import Calibration, PartScore, Scorer
from clipspect.recipes.limits import Limits
from clipspect.recipes.promise import limits_from_scores
from clipspect.recipes.recipe import Recipe
from support.drawn_records import drawn_records


def _recipe(
    scores: npt.NDArray[np.float64], *, frames: int = 1, estimate: bool = False, uncertain: float = 0.05
) -> Recipe:
    """One that was calibrated with these scores."""
    calibration = Calibration(
        "2026-11-01T10:00:00.000+00:00",
        Scorer("b" * 64, "c" * 64, "onnxruntime", "cpu", "fp32", "0.1.0"),
        tuple(PartScore(f"{number}.png", float(score), 0.5, frames) for number, score in enumerate(scores)),
        estimate=estimate,
    )
    limits = limits_from_scores(scores, uncertain=uncertain, anyway=True)
    tensors = {"text_features": np.zeros((2, 1, 4), np.float32)}
    return Recipe("nut", "winclip", "nut", "d" * 64, tensors, limits=limits, calibration=calibration)


def _records(recipe: Recipe, scores: npt.NDArray[np.float64], start: int = 0) -> list[Record]:
    return list(drawn_records(scores, limits=recipe.limits, recipe=RecipeRecord("nut", recipe.digest), start=start))


def _changes(drift: Drift, records: list[Record]) -> list[Change]:
    return [change for record in records for change in drift.take(record)]


def test_scores_of_calibration_under_the_review_limit_are_as_those_of_passed_parts() -> None:
    """The p-values of the first passed parts after calibration, over many calibrations."""
    rng = np.random.default_rng(1)
    p_values = []
    for _ in range(400):
        recipe = _recipe(np.round(rng.gamma(2, 1, 60), 1), uncertain=0.4)  # so that much is cut off
        parts = [record for record in _records(recipe, np.round(rng.gamma(2, 1, 30), 1)) if record.verdict == "pass"]
        known, below = calibration_scores(parts[0], recipe)
        assert below is not None
        score = next(record.score for record in parts if record.score is not None and record.score < below)
        above, equal = (np.array(known) > score).sum(), (np.array(known) == score).sum() + 1
        p_values.append((above + rng.random() * equal) / (len(known) + 1))
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize("case", ["another engine", "several frames a part", "references themselves", "other limits"])
def test_scores_that_were_made_otherwise_are_not_compared_with_those_of_calibration(case: str) -> None:
    scores = np.linspace(1, 2, 100)
    recipe = _recipe(scores, frames=2 if case.startswith("several") else 1, estimate=case.startswith("references"))
    (record,) = _records(recipe, np.array([1.5]))
    if case == "another engine":
        record = dataclasses.replace(record, engine=EngineRecord("openvino", "cpu", "bf16"))
    if case == "other limits":
        recipe = dataclasses.replace(recipe, limits=Limits(3, 4))
    assert calibration_scores(record, recipe) == ([], None)


def test_a_struck_part_is_not_compared_with() -> None:
    recipe = _recipe(np.linspace(1, 2, 100))
    assert recipe.calibration is not None
    parts = list(recipe.calibration.parts)
    parts[10] = dataclasses.replace(parts[10], struck=True)
    recipe = dataclasses.replace(recipe, calibration=dataclasses.replace(recipe.calibration, parts=tuple(parts)))
    (record,) = _records(recipe, np.array([1.5]))
    known, below = calibration_scores(record, recipe)
    assert parts[10].score not in known
    assert all(part.score in known for part in parts if not part.struck and below and part.score < below)


def test_scores_that_differ_from_those_of_calibration_are_found_from_the_first_part_on() -> None:
    rng = np.random.default_rng(2)
    recipe = _recipe(rng.normal(10, 1, 300))
    (change, *_) = _changes(Drift(recipe=recipe), _records(recipe, rng.normal(8.5, 1, 200)))
    assert (change.quantity, change.points_to) == (SCORE, "the part")
    assert change.part < 10
    assert change.found_part < 60
    assert change.before == pytest.approx(10, abs=0.3)


def test_parts_that_no_longer_pass_are_found_although_none_is_left_to_compare_scores_of() -> None:
    limits = Limits(12, 14)
    scores = np.random.default_rng(3).normal(10, 0.5, 600)
    scores[500:] = 13
    (change,) = _changes(Drift(), list(drawn_records(scores, limits=limits)))
    assert (change.quantity, change.part) == (NOT_PASSED, 501)
    assert change.words == "share not passed rose (0 % to 100 %)"


def test_a_change_is_told_in_words_with_its_part_and_its_time() -> None:
    scores = np.random.default_rng(4).normal(10, 0.5, 600)
    scores[300:] *= 1.1
    (change,) = _changes(Drift(), list(drawn_records(scores)))
    assert abs(change.part - 301) < 5
    assert change.time == f"2026-11-02T{6 + (change.part - 1) // 60:02}:{(change.part - 1) % 60:02}:00.000+00:00"
    assert change.words.startswith("score rose by ")
    assert change.found_part < 340


def test_another_recipe_or_engine_starts_anew_and_recipes_that_alternate_do_not() -> None:
    rng = np.random.default_rng(5)
    low, high = rng.normal(10, 0.5, 300), rng.normal(20, 0.5, 300)
    first = list(drawn_records(low))
    other_engine = EngineRecord("openvino", "cpu", "bf16")
    for changed in (
        drawn_records(high, recipe=RecipeRecord("nut", "e" * 64), start=300),
        drawn_records(high, engine=other_engine, start=300),
    ):
        drift = Drift()
        assert _changes(drift, [*first, *changed]) == []
        (span,) = drift.spans
        assert span.parts == 300
    bolts = list(drawn_records(high, recipe=RecipeRecord("bolt", "e" * 64)))
    drift = Drift()
    assert _changes(drift, [record for pair in zip(first, bolts) for record in pair]) == []
    assert [(span.recipe, span.parts) for span in drift.spans] == [("nut", 300), ("bolt", 300)]


def test_a_stored_search_goes_on_as_if_it_had_not_been_interrupted() -> None:
    rng = np.random.default_rng(6)
    recipe = _recipe(rng.normal(10, 0.5, 300))
    scores = rng.normal(10, 0.5, 700)
    scores[350:] *= 0.93
    records = _records(recipe, scores)
    whole = Drift(recipe=recipe)
    expected = _changes(whole, records)
    assert expected
    for cut in (0, 1, 340, 360, 690):
        before = Drift(recipe=recipe)
        found = _changes(before, records[:cut])
        after = Drift.restored(before.state(), 0.01, recipe)
        assert [*found, *_changes(after, records[cut:])] == expected
        assert after.state() == whole.state()


@pytest.mark.parametrize("state", [b"", b"{}", b"\x00" * 100, b'{"false_alarm": 0.01}'])
def test_what_is_no_state_is_refused(state: bytes) -> None:
    with pytest.raises(MismatchError, match="not the state"):
        Drift.restored(state, 0.01)


def test_a_state_of_another_false_alarm_rate_is_refused() -> None:
    with pytest.raises(MismatchError, match="rate"):
        Drift.restored(Drift(0.05).state(), 0.01)


def test_damaged_frames_count_as_parts_and_have_no_quantity() -> None:
    drift = Drift()
    (record,) = drawn_records([1.0])
    drift.take(dataclasses.replace(record, score=None, verdict=None, error="cannot be decoded"))
    assert drift.parts == 1
    assert set(drift.spans[0].evidence.values()) == {0.0}


def _with_quality(name: str, factor: float, others: dict[str, float] | None = None) -> list[Record]:
    """200 records whose frames are alike, then 200 of which a quantity is multiplied."""
    rng = np.random.default_rng(7)
    factors = {name: factor, **(others or {})}
    records = []
    for number, record in enumerate(drawn_records(rng.normal(10, 0.5, 400))):
        quality = {quantity: 100 * rng.normal(1, 0.03) for quantity in ("brightness", "sharpness", "contrast")}
        if number >= 200:
            quality = {quantity: value * factors.get(quantity, 1) for quantity, value in quality.items()}
        records.append(dataclasses.replace(record, quality=quality))
    return records


@pytest.mark.parametrize(
    ("name", "factor", "others", "expected"),
    [
        ("brightness", 0.9, {"contrast": 0.9, "sharpness": 0.9}, ("brightness", "the light")),
        ("sharpness", 0.8, {"contrast": 0.95}, ("sharpness", "the lens")),
        ("sharpness", 1.2, {}, ("sharpness", "the part")),
    ],
)
def test_what_changed_first_says_where_to_look(
    name: str, factor: float, others: dict[str, float], expected: tuple[str, str]
) -> None:
    changes = _changes(Drift(), _with_quality(name, factor, others))
    (event,) = events(changes)
    assert (event.first.quantity, event.first.points_to) == expected
    assert {change.quantity for change in event.changes} == {name, *others}
    assert abs(event.first.part - 201) < 5
    assert event.first.found_part < 230


def test_a_quantity_that_nobody_knows_is_left_alone() -> None:
    (record,) = drawn_records([1.0])
    assert _changes(Drift(), [dataclasses.replace(record, quality={"hue": 3.0})]) == []
