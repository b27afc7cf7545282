"""Invalid photographs in a study: left out of every figure, and counted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from clipspect import Limits
from clipspect.inspection.result import Verdict
from clipspect_lab.studies.agreement import agreement_of, same_verdict_of
from clipspect_lab.studies.judged import JudgedPart, JudgedPhotograph
from clipspect_lab.studies.page import study_page
from clipspect_lab.studies.parts import DEFECT, GOOD, Label
from clipspect_lab.studies.repeatability import repeatability_of
from clipspect_lab.studies.report import photographs_csv, study_document, study_text
from clipspect_lab.studies.study import Study

DARK = JudgedPhotograph("3.png", 9.0, "invalid", ("brightness 3.1 is below 60 (good frames: 61 to 88)",))
DARKER = JudgedPhotograph("3.png", 9.0, "invalid", ("brightness 2.4 is below 60 (good frames: 61 to 88)",))
PARTS = (
    JudgedPart("a", GOOD, (JudgedPhotograph("1.png", 0.20, "pass"), JudgedPhotograph("2.png", 0.22, "pass"), DARK)),
    JudgedPart("b", GOOD, (JudgedPhotograph("1.png", 0.30, "pass"), JudgedPhotograph("2.png", 0.31, "pass"))),
    JudgedPart("c & d", GOOD, (DARKER,)),
)


def made_of(parts: tuple[JudgedPart, ...]) -> Study:
    return Study(
        bundle="nuts.bundle",
        recipe="nut",
        recipe_digest="d" * 64,
        engine="onnxruntime on cpu in fp32",
        limits=Limits(0.4, 0.6),
        guard="",
        parts=parts,
        repeatability=repeatability_of([[shot.score for shot in part.valid] for part in parts]),
        same_verdict=same_verdict_of(parts),
        agreement=agreement_of(parts),
    )


def test_invalid_photographs_change_no_figure_and_are_counted_with_their_reasons() -> None:
    found, without = made_of(PARTS), made_of((JudgedPart("a", GOOD, PARTS[0].valid), PARTS[1]))
    document, expected = study_document(found, "calibrate"), study_document(without, "calibrate")
    for key in ("repeatability", "same_verdict", "agreement"):
        assert document[key] == expected[key]
    assert (document["invalid_photographs"], expected["invalid_photographs"]) == (2, 0)
    note = "invalid photographs, left out of every figure: 2 (brightness below 60: 2)"
    assert note in document["notes"]
    assert note in study_text(found, "calibrate")
    assert document["parts"][2]["sigmas_over_review"] is None


def test_parts_whose_photographs_are_all_invalid_are_named_and_do_not_count_as_labelled() -> None:
    notes = study_document(made_of((*PARTS, JudgedPart("e", DEFECT, (DARK, DARK)))), "calibrate")["notes"]
    assert "parts whose photographs are all invalid are in no figure: c & d, e" in notes
    assert "no part with a valid photograph is labelled defect, so the miss rate and kappa are unknown" in notes
    assert not any("in no figure" in note for note in study_document(made_of(PARTS[:2]), "calibrate")["notes"])


@pytest.mark.parametrize(
    ("defects", "verdict", "first"),
    [
        (((0.2, "pass"),), "fail", "The usual bar is not met: effectiveness, miss rate."),
        (
            ((0.8, "fail"),),
            "uncertain",
            "So few parts do not show that the usual bar is met: effectiveness, miss rate, ",
        ),
        (((0.8, "fail"),) * 200, "pass", "The usual bar is met: effectiveness, misses and false alarms."),
    ],
)
def test_the_page_begins_with_what_the_study_comes_to(
    defects: tuple[tuple[float, Verdict], ...], verdict: Verdict, first: str
) -> None:
    def parts_of(label: Label, found: Sequence[tuple[float, Verdict]]) -> tuple[JudgedPart, ...]:
        shots = ([JudgedPhotograph(f"{n}.png", score + n / 100, own) for n in range(2)] for score, own in found)
        return tuple(JudgedPart(f"{label}-{i}", label, tuple(shot)) for i, shot in enumerate(shots))

    good: tuple[tuple[float, Verdict], ...] = ((0.2, "pass"),) * len(defects)
    page = study_page(made_of(parts_of(GOOD, good) + parts_of(DEFECT, defects)), "calibrate")
    lead = page[page.index('<div class="lead') : page.index("<h2>")]
    assert lead.startswith(f'<div class="lead {verdict}">')
    assert first in lead
    assert "Repeatability is" in lead


def test_a_part_of_invalid_photographs_alone_has_its_row_everywhere() -> None:
    found = made_of(PARTS)
    assert study_text(found, "calibrate").count("\nc & d ") == 1
    page = study_page(found, "calibrate")
    assert "<th>c &amp; d</th>" in page
    assert page.count('<i class="good"') == 4
    assert "c & d,good,1,9.0,invalid" in photographs_csv(found)
