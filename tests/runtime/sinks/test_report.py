"""The report of a recipe: what it says is what the recipe holds, and the page stands alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from clipspect.base.errors import ClipspectError
from clipspect.recipes.calibration import Calibration, LimitsChange, PartScore, Range, Scorer
from clipspect.recipes.limits import Limits
from clipspect.recipes.promise import limits_from_scores
from clipspect.recipes.recipe import Recipe
from clipspect.sinks.report import write_report
from clipspect.sinks.report_pictures import ReportPicture
from support import handmade
from support.pages import Page, require_numbers

SCORER = Scorer("b" * 64, "c" * 64, "onnxruntime", "cpu", "fp32", "0.9.9")


def recipe_of(scores: list[float], *, limits: Limits | None, **changes: Any) -> Recipe:
    parts = tuple(PartScore(f"part {number}.png", score, score / 2) for number, score in enumerate(scores))
    calibration = Calibration("2026-11-27T20:15:00.000+00:00", SCORER, parts)
    return handmade.make_recipe("nut", limits=limits, calibration=dataclasses.replace(calibration, **changes))


def page_of(folder: Path, recipe: Recipe, **options: Any) -> Page:
    path = folder / "page.html"
    write_report(path, recipe, **options)
    page = Page(path.read_text(encoding="utf-8"))
    page.require_self_contained()
    for chart in page.charts:
        require_numbers(chart)
    assert "nan" not in page.words.lower().split()
    return page


def picture_of(name: str, score: float) -> ReportPicture:
    return ReportPicture(name, score, Image.new("RGB", (40, 30), (90, 90, 90)), np.full((30, 40), score, np.float32))


def test_the_promise_stands_there_in_words(tmp_path: Path) -> None:
    scores = np.linspace(0.1, 0.5, 312).tolist()
    page = page_of(tmp_path, recipe_of(scores, limits=limits_from_scores(scores)))
    assert "Of 1,000 good parts at most 10 are rejected, 95 % sure; measured on 312 good parts." in page.words
    assert page.headings[0] == "Recipe nut: what its verdict is worth"
    assert 'class="lead pass"' in page.text


def test_a_rare_rejection_is_counted_in_more_parts(tmp_path: Path) -> None:
    scores = np.linspace(0.1, 0.5, 4000).tolist()
    page = page_of(tmp_path, recipe_of(scores, limits=limits_from_scores(scores, 0.001)))
    assert "Of 10,000 good parts at most 8 are rejected" in page.words  # 0.075 %


def test_too_few_parts_are_said_plainly_with_what_the_limit_is_worth(tmp_path: Path) -> None:
    scores = np.linspace(0.1, 0.5, 40).tolist()
    page = page_of(tmp_path, recipe_of(scores, limits=limits_from_scores(scores, anyway=True)))
    assert "Of 1,000 good parts at most 73 are rejected" in page.words  # 7.2 % is 72.2 of 1,000
    assert "These are too few parts for the 1 % that were asked for: that takes 299." in page.words
    assert "it can be 7.2 %" in page.words
    assert 'class="lead uncertain"' in page.text


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (handmade.make_recipe("nut"), "Nothing is promised: this recipe has no limits, so it gives no verdict."),
        (
            handmade.make_recipe("nut", limits=Limits(0.2, 0.4)),
            "Nothing is promised: the reject limit was set by hand.",
        ),
        (recipe_of([0.5], limits=limits_from_scores([0.5], anyway=True)), "So few parts promise next to nothing."),
        (
            recipe_of([0.5] * 8, limits=Limits(0.6, 0.6), estimate=True),
            "Nothing is promised: the limits are an estimate from 8 references, each scored without its own part",
        ),
    ],
)
def test_a_limit_that_is_worth_nothing_or_less_is_never_shown_as_a_promise(
    recipe: Recipe, words: str, tmp_path: Path
) -> None:
    page = page_of(tmp_path, recipe)
    assert words in page.words
    assert 'class="lead pass"' not in page.text


def test_without_defects_the_escape_rate_is_unknown_and_never_a_blank(tmp_path: Path) -> None:
    scores = np.linspace(0.1, 0.5, 60).tolist()
    for recipe in (
        handmade.make_recipe("nut"),
        handmade.make_recipe("nut", limits=Limits(0.2, 0.4)),
        recipe_of(scores, limits=limits_from_scores(scores, anyway=True)),
    ):
        words = " ".join(page_of(tmp_path, recipe).words.split())
        assert "escape rate unknown" in words or "escape rate: unknown" in words


def test_the_numbers_are_those_of_the_recipe(tmp_path: Path) -> None:
    scores = np.linspace(0.1, 0.5, 400).tolist()
    limits = dataclasses.replace(limits_from_scores(scores), map=0.3125)
    defects = tuple(PartScore(f"bad {number}", score, 1.0) for number, score in enumerate([0.2, 0.7, 0.8, 0.9]))
    recipe = recipe_of(
        scores,
        limits=limits,
        defects=defects,
        checks={"brightness": Range(61.25, None, 0.02, 70, 180)},
        frame_sizes=((640, 480),),
        group="(.*)-.*",
    )
    change = LimitsChange("2026-11-20T08:00:00.000+00:00", "anna", "new lens", None, {"review": 0.125, "reject": 0.25})
    page = page_of(tmp_path, dataclasses.replace(recipe, history=(change,)), bundle="nuts.bundle")
    words = " ".join(page.words.split())
    for expected in (
        f"{limits.review:.6g}", f"{limits.reject:.6g}", "0.3125 nothing",
        "3 of 4 (3 fail, 0 uncertain)", "1 of 4 pass", "brightness 61.25 any 2 %", "640 x 480", "nuts.bundle",
        "b" * 64, "c" * 64, recipe_digest(recipe, change), "onnxruntime on cpu", "fp32", "0.9.9", "2026-11-27 20:15",
        "(.*)-.*", "2026-11-20 08:00 anna none review 0.125, reject 0.25 new lens",
        "1 % 299 473 628 yes, k = 1", "5 % 59 93 124 yes, k =", "0.1 % 2,995 4,742 6,294 no, 2,595 more",
    ):  # fmt: skip
        assert expected in words, expected
    histogram = next(chart for chart in page.charts if len(chart) > 10)
    assert len([line for line in histogram if line.attrib["class"] == "defect"]) == 4
    assert len([line for line in histogram if line.attrib["class"].startswith("limit")]) == 2


def recipe_digest(recipe: Recipe, change: LimitsChange) -> str:
    return dataclasses.replace(recipe, history=(change,)).digest


def test_names_with_markup_and_of_any_bytes_are_escaped(tmp_path: Path) -> None:
    name = "<script>alert('1')</script>&.png"
    parts = tuple(PartScore(name + str(number), 0.5, 0.5, struck=number == 1) for number in range(3))
    recipe = recipe_of([0.5], limits=Limits(0.6, 0.7), parts=parts)
    page = page_of(
        tmp_path, recipe, worst=[picture_of(name + "0", 0.5), picture_of(name + "1", 0.5)], bundle="<b>\udcff"
    )
    assert "<script>alert('1')</script>&.png0" in page.words
    assert "<b>\\udcff" in page.words


def test_a_struck_part_is_shown_as_such_and_does_not_count(tmp_path: Path) -> None:
    scores = [0.1, 0.2, 0.9]
    parts = tuple(PartScore(f"part {number}", score, 0.5, struck=score == 0.9) for number, score in enumerate(scores))
    recipe = recipe_of([], limits=limits_from_scores([0.1, 0.2], anyway=True), parts=parts)
    page = page_of(tmp_path, recipe, worst=[picture_of(f"part {number}", scores[number]) for number in (2, 1, 0)])
    worst, struck = page.text.index("highest scores</h2>"), page.text.index("were struck</h2>")
    assert "2 good parts, from 0.1 to 0.2." in page.words
    assert worst < page.text.index('"name">part 1<') < page.text.index('"name">part 0<') < struck
    assert struck < page.text.index('"name">part 2<')


def test_each_picture_stands_beside_its_heat_with_score_verdict_and_limits(tmp_path: Path) -> None:
    recipe = recipe_of([0.2, 0.8], limits=Limits(0.5, 0.7))
    page = page_of(tmp_path, recipe, worst=[picture_of("part 1.png", 0.8), picture_of("part 0.png", 0.2)])
    assert page.text.count("<img") == 4
    assert [word for word in page.words.split("highest scores")[1].split() if word in {"0.8", "0.2", "fail", "pass"}][
        :4
    ] == ["0.8", "fail", "0.2", "pass"]
    bars = [chart for chart in page.charts if "score 0." in chart.attrib.get("aria-label", "")]
    assert [chart.attrib["aria-label"] for chart in bars] == [
        "score 0.8; review 0.5, reject 0.7",
        "score 0.2; review 0.5, reject 0.7",
    ]


def test_a_defective_part_whose_frames_are_invalid_is_shown_as_such(tmp_path: Path) -> None:
    defects = (PartScore("a.png", 0.9, 0.9, invalid=True), PartScore("b.png", 0.8, 0.8))
    recipe = recipe_of([0.2, 0.3], limits=Limits(0.5, 0.7), defects=defects)
    page = page_of(tmp_path, recipe, defects=[picture_of("a.png", 0.9), picture_of("b.png", 0.8)])
    words = page.words.split("lowest scores")[1].split()
    assert [word for word in words if word in {"0.9", "0.8", "fail", "invalid"}][:4] == [
        "0.9",
        "invalid",
        "0.8",
        "fail",
    ]
    assert "1 of 2 (1 fail, 0 uncertain); 1 more are invalid" in page.words


@settings(max_examples=40)
@example([0.0, 5e-324], [], False)
@example([1.0, 1.0 + 1e-15], [1e300], False)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    st.lists(st.floats(-1e6, 1e6), max_size=3),
    st.booleans(),
)
def test_any_scores_make_a_page_whose_charts_hold_numbers(
    tmp_path_factory: pytest.TempPathFactory, scores: list[float], defects: list[float], equal: bool
) -> None:
    scores = [scores[0]] * len(scores) if equal else scores
    limits = limits_from_scores(scores, anyway=True)
    bad = tuple(PartScore(f"bad {number}", score, 1.0) for number, score in enumerate(defects))
    recipe = recipe_of(scores, limits=limits, defects=bad)
    folder = tmp_path_factory.getbasetemp() / "any"
    page = page_of(folder, recipe, worst=[picture_of("part 0.png", scores[0])])
    assert f"on {len(scores)} good part{'s' if len(scores) > 1 else ''}." in page.words


def test_a_score_that_is_not_finite_is_one_clear_error_and_no_page(tmp_path: Path) -> None:
    with pytest.raises(ClipspectError, match=r"part 'part 1\.png' is nan: calibrate again"):
        write_report(tmp_path / "page.html", recipe_of([0.5, float("nan")], limits=Limits(0.5, 0.5)))
    assert not (tmp_path / "page.html").exists()
