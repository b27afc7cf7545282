"""Agreement: rates by SciPy's bounds, kappa by scikit-learn, and how uncertain verdicts count."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from clipspect.inspection.result import Verdict
from clipspect_lab.studies.agreement import FALSE_ALARMS, MISSES, WRONG, agreement_of, kappas, same_verdict_of
from clipspect_lab.studies.judged import JudgedPart, JudgedPhotograph
from clipspect_lab.studies.parts import DEFECT, GOOD, Label
from clipspect_lab.studies.words import agreement_cells

RIGHT = {GOOD: "pass", DEFECT: "fail"}
VERDICTS: st.SearchStrategy[Verdict] = st.sampled_from(["pass", "uncertain", "fail"])
PARTS = st.lists(st.tuples(st.sampled_from([GOOD, DEFECT]), st.lists(VERDICTS, min_size=1, max_size=4)), min_size=1)


def part(label: Label | None, *verdicts: Verdict | None) -> JudgedPart:
    return JudgedPart("part", label, tuple(JudgedPhotograph("1.png", 0.5, verdict) for verdict in verdicts))


def parts(count: int, label: Label, *verdicts: Verdict) -> list[JudgedPart]:
    return [part(label, *verdicts) for _ in range(count)]


@settings(max_examples=50)
@given(PARTS)
def test_kappa_is_scikit_learns(drawn: list[tuple[Label, list[Verdict]]]) -> None:
    found = agreement_of([part(label, *verdicts) for label, verdicts in drawn])
    expert = [RIGHT[label] for label, verdicts in drawn for _ in verdicts]
    machine = [verdict for _, verdicts in drawn for verdict in verdicts]
    assert found is not None
    assert (found.kappa is None) == (len({label for label, _ in drawn}) == 1)
    if found.kappa is not None:
        assert found.kappa.value == pytest.approx(cohen_kappa_score(expert, machine))
        if found.kappa.interval is not None:
            low, high = found.kappa.interval
            assert -1 <= low <= high <= 1


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=3, max_size=3))
def test_kappa_of_any_table_is_scikit_learns(table: list[list[int]]) -> None:
    pairs = [(i, j) for i in range(3) for j in range(3) for _ in range(table[i][j])]
    if not pairs:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = cohen_kappa_score(*zip(*pairs), labels=[0, 1, 2])
    assert float(kappas(np.array(table, np.float64))) == pytest.approx(expected, nan_ok=True)


@settings(max_examples=40)
@given(PARTS)
def test_rates_are_counted_of_photographs_and_of_parts(drawn: list[tuple[Label, list[Verdict]]]) -> None:
    found = agreement_of([part(label, *verdicts) for label, verdicts in drawn])
    assert found is not None
    for rate, label, wrong in (
        (found.misses, DEFECT, "pass"),
        (found.false_alarms, GOOD, "fail"),
        (found.good_uncertain, GOOD, "uncertain"),
        (found.defects_uncertain, DEFECT, "uncertain"),
    ):
        own = [verdicts for given, verdicts in drawn if given == label]
        assert rate.photographs.count == sum(verdicts.count(wrong) for verdicts in own)  # type: ignore[arg-type]
        assert rate.photographs.parts == sum(map(len, own))
        assert (rate.parts.count, rate.parts.parts) == (sum(wrong in verdicts for verdicts in own), len(own))
        if own:
            exact = binomtest(rate.parts.count, len(own)).proportion_ci(0.95, "exact")
            assert rate.parts.interval == pytest.approx((exact.low, exact.high), abs=1e-9)
    right = [set(verdicts) == {RIGHT[label]} for label, verdicts in drawn]
    assert found.effectiveness[1].count == sum(right)
    assert found.effectiveness[0].count <= found.effectiveness[0].parts


@given(st.integers(1, 3), st.lists(st.lists(VERDICTS, min_size=3, max_size=3), min_size=1))
def test_of_equally_many_photographs_the_rate_of_parts_is_never_below(count: int, drawn: list[list[Verdict]]) -> None:
    found = agreement_of([part(GOOD, *verdicts[:count]) for verdicts in drawn])
    assert found is not None
    assert (found.wrong.photographs.value or 0) <= (found.wrong.parts.value or 0)


def test_a_part_of_many_wrong_photographs_misses_a_bar_that_the_parts_meet() -> None:
    found = agreement_of([part(GOOD, *["fail"] * 30), *parts(99, GOOD, "pass")])
    assert found is not None
    assert found.false_alarms.parts.at_most <= FALSE_ALARMS < (found.false_alarms.photographs.value or 0)
    assert found.false_alarms.at_most(FALSE_ALARMS) == "not met"


@given(st.integers(1, 300), st.integers(0, 20), st.integers(1, 300), st.integers(0, 20))
def test_the_bound_that_is_shown_lies_within_the_bar_where_it_is_met_and_else_not(
    good: int, failed: int, defective: int, missed: int
) -> None:
    found = agreement_of(
        parts(good, GOOD, "pass")
        + parts(failed, GOOD, "fail")
        + parts(defective, DEFECT, "fail")
        + parts(missed, DEFECT, "pass")
    )
    assert found is not None
    effective, misses, false_alarms = (cells[2] for cells in agreement_cells(found)[:3])
    for cell, rate, bar in ((misses, found.misses, MISSES), (false_alarms, found.false_alarms, FALSE_ALARMS)):
        shown = float(cell.partition("(at most ")[2].removesuffix(" %)"))
        assert (shown <= bar * 100) == (rate.parts.at_most <= bar)
        exact = binomtest(rate.parts.count, rate.parts.parts).proportion_ci(0.9, "exact").high  # each side 95 %
        assert exact * 100 - 1e-9 <= shown <= exact * 100 + 0.1
    shown = float(effective.partition("(at least ")[2].removesuffix(" %)"))
    assert (shown >= 100 - WRONG * 100) == (found.wrong.parts.at_most <= WRONG)


def test_an_uncertain_verdict_is_no_miss_and_no_false_alarm_but_no_agreement_either() -> None:
    found = agreement_of([part(GOOD, "uncertain", "pass"), part(DEFECT, "uncertain", "fail")])
    assert found is not None
    assert (found.misses.parts.count, found.false_alarms.parts.count) == (0, 0)
    assert (found.good_uncertain.photographs.count, found.defects_uncertain.photographs.count) == (1, 1)
    assert [share.count for share in found.effectiveness] == [2, 0]


def test_invalid_photographs_and_parts_without_labels_are_left_out() -> None:
    found = agreement_of(
        [part(GOOD, "invalid", "pass"), part(DEFECT, "invalid"), part(None, "fail"), part(DEFECT, "fail")]
    )
    assert found is not None
    assert [share.parts for share in found.effectiveness] == [2, 2]
    assert found.effectiveness[1].count == 2


def test_without_labels_or_verdicts_there_is_no_agreement() -> None:
    assert agreement_of([part(None, "pass")]) is None
    assert agreement_of([part(GOOD, None), part(DEFECT, None)]) is None


@pytest.mark.parametrize(
    ("missed", "of", "bar"),
    [(0, 12, "not shown"), (0, 148, "not shown"), (0, 149, "met"), (1, 149, "not shown"), (1, 12, "not met")],
)
def test_a_bar_is_met_not_met_or_not_shown_by_so_few_parts(missed: int, of: int, bar: str) -> None:
    drawn = parts(missed, DEFECT, "pass") + parts(of - missed, DEFECT, "fail") + parts(1, GOOD, "pass")
    found = agreement_of(drawn)
    assert found is not None
    assert found.misses.at_most(MISSES) == bar
    more = found.misses.parts_to_meet(MISSES)
    assert (more == 0) == (bar == "met")
    again = agreement_of(drawn + parts(more, DEFECT, "fail"))
    assert again is not None
    assert again.misses.at_most(MISSES) == "met"


def test_repeated_photographs_do_not_show_what_few_parts_cannot() -> None:
    found = agreement_of(parts(10, GOOD, *["pass"] * 30) + parts(10, DEFECT, *["fail"] * 30))
    assert found is not None
    assert [rate.at_most(bar) for rate, bar in ((found.wrong, WRONG), (found.false_alarms, FALSE_ALARMS))] == [
        "not shown",
        "not shown",
    ]


def test_without_defective_parts_the_miss_rate_is_not_shown() -> None:
    found = agreement_of(parts(100, GOOD, "pass"))
    assert found is not None
    assert found.misses.photographs.value is None
    assert found.misses.at_most(MISSES) == "not shown"
    assert found.kappa is None


def test_kappas_interval_widens_where_photographs_of_a_part_agree() -> None:
    rng = np.random.default_rng(2)
    widths = []
    for repeats in (1, 4):  # the same photographs: of 120 parts, or of 30 parts that are each right or wrong in all 4
        drawn = [
            part(label, *([RIGHT[label] if right else RIGHT[GOOD if label == DEFECT else DEFECT]] * repeats))  # type: ignore[list-item]
            for label, right in zip([GOOD, DEFECT] * (60 // repeats), rng.random(120 // repeats) < 0.8)
        ]
        found = agreement_of(drawn)
        assert found is not None
        assert found.kappa is not None
        assert found.kappa.interval is not None
        low, high = found.kappa.interval
        assert low < found.kappa.value < high
        widths.append(high - low)
    assert widths[1] > 1.5 * widths[0]


def test_kappa_has_no_interval_where_all_agree() -> None:
    found = agreement_of(parts(5, GOOD, "pass") + parts(5, DEFECT, "fail"))
    assert found is not None
    assert found.kappa is not None
    assert (found.kappa.value, found.kappa.interval) == (1.0, None)


def test_parts_that_keep_their_verdict_are_counted_of_those_with_repeats() -> None:
    kept = same_verdict_of([part(None, "pass", "pass"), part(None, "pass", "uncertain"), part(None, "fail")])
    assert kept is not None
    assert (kept.count, kept.parts) == (1, 2)
    assert same_verdict_of([part(None, "fail"), part(None, None, None)]) is None
