"""The detector keeps its promise on false alarms, and finds what it is there for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from clipspect.line.drift_detector import PARTS, Detector
from clipspect.line.drift_ranks import Ranks

RUNS, RATE = 1000, 0.01


def _allowed(runs: int) -> int:
    """Alarms of so many runs, where each has one with probability `RATE`, but for one time in a thousand."""
    return int(stats.binom.ppf(0.999, runs, RATE))


def _alarms(scores: npt.NDArray[np.float64]) -> int:
    """Runs with an alarm; scores are (parts, runs)."""
    detector = Detector(scores.shape[1], RATE)
    alarmed = {
        found.row
        for number, row in enumerate(scores, 1)
        for found in detector.take(row, 10 + row, number, number)  # ten standard deviations: no change is too small
    }
    return len(alarmed)


def test_at_most_the_stated_share_of_runs_of_ten_thousand_unchanged_parts_has_an_alarm() -> None:
    scores = np.random.default_rng(1).standard_normal((PARTS, 300))
    assert _alarms(scores) <= _allowed(300)


def _normal_scores(values: npt.NDArray[np.float64], ties: npt.NDArray[np.float64]) -> list[float]:
    ranks = Ranks()
    return [ranks.normal_score(value, tie) for value, tie in zip(values.tolist(), ties.tolist())]


@pytest.mark.slow
def test_the_promise_holds_in_a_thousand_runs_whatever_the_values_distribution() -> None:
    rng = np.random.default_rng(2)
    distributions = (
        lambda: rng.normal(1, 0.1, PARTS),
        lambda: rng.standard_t(1, PARTS),
        lambda: rng.binomial(1, 0.02, PARTS).astype(float),
        lambda: rng.choice([1.0, 3.0], PARTS) + rng.normal(0, 0.1, PARTS),
    )
    runs = [_normal_scores(distributions[run % 4](), rng.random(PARTS)) for run in range(RUNS)]
    assert _alarms(np.array(runs).T) <= _allowed(RUNS)


@pytest.mark.slow
def test_p_values_against_a_fixed_sample_would_break_the_promise() -> None:
    """Why each part joins those that the next is compared with: 200 parts are not the distribution."""
    rng = np.random.default_rng(3)
    scores = np.empty((PARTS, RUNS))
    for run in range(RUNS):
        above = 200 - np.searchsorted(np.sort(rng.standard_normal(200)), rng.standard_normal(PARTS))
        scores[:, run] = -stats.norm.ppf((above + rng.random(PARTS)) / 201)
    assert _alarms(scores) > 5 * _allowed(RUNS)


@pytest.mark.parametrize(("shift", "within"), [(0.5, 500), (1.0, 120), (2.0, 40), (4.0, 12)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_shift_is_found_and_dated(shift: float, within: int, sign: int) -> None:
    rng = np.random.default_rng(4)
    for _ in range(5):
        values = rng.normal(10, 1, 1000 + within)
        values[1000:] += sign * shift
        scores = _normal_scores(values, rng.random(len(values)))
        detector = Detector(1, RATE / 7)
        found = [
            (number, change)
            for number, (score, value) in enumerate(zip(scores, values.tolist()), 1)
            for change in detector.take(np.array([score]), np.array([value]), number, 60.0 * number)
        ]
        number, change = found[0]
        assert number > 1000, "a false alarm"
        assert abs(change.since - 1001) <= max(4, 25 / shift**2)
        assert change.since_time == 60.0 * change.since
        assert change.before == pytest.approx(10, abs=0.2)
        assert change.after - change.before == pytest.approx(sign * shift, abs=0.5 * shift)


def _changes(values: npt.NDArray[np.float64]) -> int:
    detector, ties = Detector(1, RATE), np.random.default_rng(6).random(len(values))
    return sum(
        len(detector.take(np.array([score]), np.array([value]), number, number))
        for number, (score, value) in enumerate(zip(_normal_scores(values, ties), values.tolist()), 1)
    )


def test_a_change_of_less_than_a_hundredth_of_the_value_is_not_told() -> None:
    values = np.random.default_rng(5).normal(100, 0.1, 1000)
    values[500:] += 0.9
    assert _changes(values) == 0
    values[500:] += 0.2
    assert _changes(values) == 1


def test_after_a_change_the_new_values_are_what_is_normal() -> None:
    values = np.random.default_rng(7).normal(10, 0.1, 1500)
    values[500:1000] *= 0.9
    ties = np.random.default_rng(8).random(len(values))
    detector, ranks = Detector(1, RATE), Ranks()
    found = []
    for number, (value, tie) in enumerate(zip(values.tolist(), ties.tolist()), 1):
        score = ranks.normal_score(value, tie)
        for change in detector.take(np.array([score]), np.array([value]), number, number):
            found.append((change.since, round(change.after / change.before, 1)))
            ranks = Ranks()
    assert found == [(501, 0.9), (1001, 1.1)]


def test_a_part_without_a_quantity_changes_nothing_of_its_row() -> None:
    detector = Detector(2, RATE)
    detector.take(np.array([1.0, 1.0]), np.array([5.0, 5.0]), 1, 1)
    before = detector.evidence
    detector.take(np.array([2.0, np.nan]), np.array([6.0, np.nan]), 2, 2)
    assert detector.evidence[1] == before[1]
    assert detector.evidence[0] != before[0]


def test_a_state_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        Detector(2, RATE).restore(Detector(3, RATE).state())
