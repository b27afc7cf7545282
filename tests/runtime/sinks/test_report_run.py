"""The report of a run: everything is counted, what did not pass is shown, and the page is bounded."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import clipspect
from clipspect.base.errors import ClipspectError
from clipspect.cli import main
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import record_of
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from clipspect.sinks import report_run
from clipspect.sinks.overlay_colours import HeatScale
from clipspect.sinks.report_run import RunReport
from support import handmade
from support.pages import Page, require_numbers

SCALE = HeatScale(0.0, 1.0)


@pytest.fixture(scope="module")
def inspector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspector]:
    bundle = handmade.write_bundle(tmp_path_factory.mktemp("run") / "nuts.bundle")
    recipe = handmade.make_recipe("strict", limits=Limits(0.3, 0.6))
    with clipspect.load(bundle, recipe, backend="onnxruntime", threads=1) as loaded:
        yield loaded


def grey(value: int) -> np.ndarray:  # type: ignore[type-arg]
    """A frame whose score is value / 255."""
    return handmade.grey(value)


def page_of(path: Path) -> Page:
    page = Page(path.read_text(encoding="utf-8"))
    page.require_self_contained()
    for chart in page.charts:
        require_numbers(chart)
    return page


def report(path: Path, inspector: Inspector, outcomes: list[Outcome]) -> Page:
    with RunReport(path, inspector, SCALE) as sink:
        for outcome in outcomes:
            sink.take(record_of(outcome, inspector), outcome)
    return page_of(path)


def test_a_run_has_its_verdicts_counted_and_its_images_shown_the_worst_first(tmp_path: Path) -> None:
    bundle = handmade.write_bundle(tmp_path / "nuts.bundle")
    recipe = handmade.make_recipe("strict", limits=Limits(0.3, 0.6))
    write_recipe(bundle / "recipes/strict.safetensors", recipe)
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, value in (("good", 20), ("doubtful", 120), ("bad", 240), ("worse <i>", 250)):
        Image.fromarray(grey(value)).save(photos / f"{name}.png")
    (photos / "broken.png").write_text("no picture")
    arguments = ["run", bundle, photos, "--recipe", "strict", "--report", tmp_path / "pages" / "page.html"]
    assert main([*map(str, arguments), "--backend", "onnxruntime"]) == 1
    page = page_of(tmp_path / "pages" / "page.html")
    words = " ".join(page.words.split())
    assert "5 images: 2 fail, 1 uncertain, 1 pass, 1 could not be inspected." in words
    assert page.text.count("<img") == 2 * 3
    shown = re.findall(r'<span class="name">([^<]*)</span>', page.text)
    assert [Path(name).stem for name in shown] == ["worse &lt;i&gt;", "bad", "doubtful"]
    assert "broken.png: not an image" in words.split("could not be inspected")[-1]
    assert recipe.digest in words
    assert "reject limit 0.6" in words


def test_an_invalid_frame_is_shown_with_its_reason_and_no_score_bar(tmp_path: Path, inspector: Inspector) -> None:
    (outcome,) = inspector.stream([grey(200)], keep_pictures=True)
    invalid = dataclasses.replace(outcome.require(), verdict="invalid", reasons=("too <dark>",))
    page = report(tmp_path / "page.html", inspector, [dataclasses.replace(outcome, result=invalid)])
    assert "1 image: 1 invalid." in page.words
    assert page.words.count("too <dark>") == 2  # at its picture and in the table
    assert page.charts == []


def test_where_images_had_errors_the_page_is_not_the_green_of_a_pass(tmp_path: Path, inspector: Inspector) -> None:
    passed = list(inspector.stream([grey(20)], keep_pictures=True))
    broken = list(inspector.stream([np.full((9, 9), np.nan, np.float32)] * 5))
    for outcomes, verdict in ((passed, "pass"), (broken, "invalid"), (passed + broken, "invalid")):
        page = report(tmp_path / "page.html", inspector, outcomes)
        assert f'<div class="lead {verdict}">' in page.text
    assert "6 images: 1 pass, 5 could not be inspected." in page.words
    assert "<div><b>5</b>could not be inspected</div>" in page.text


def test_without_limits_the_highest_scores_are_shown(tmp_path: Path, inspector: Inspector) -> None:
    with inspector.with_recipe("object") as unjudged:
        outcomes = list(unjudged.stream([grey(value) for value in range(20, 50)], keep_pictures=True))
        page = report(tmp_path / "page.html", unjudged, outcomes)
    assert "30 images: 30 without a verdict." in page.words
    assert "Nothing is promised: this recipe has no limits" in page.words
    assert page.text.count("<img") == 2 * 20
    assert "The worst 20 of 30 are shown." in page.words


def test_a_run_without_images_has_a_page_that_says_so(tmp_path: Path, inspector: Inspector) -> None:
    assert "No image was inspected." in report(tmp_path / "page.html", inspector, []).words


def test_a_long_run_keeps_a_bounded_page_and_the_worst_of_it(
    tmp_path: Path, inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_run, "MOST_PICTURES", 3)
    monkeypatch.setattr(report_run, "MOST_ROWS", 5)
    order = np.random.default_rng(0).permutation(np.arange(100, 256, 5)).tolist()
    outcomes = list(inspector.stream([grey(value) for value in order], batch=8, keep_pictures=True))
    page = report(tmp_path / "page.html", inspector, outcomes)
    scores = [float(score) for score in re.findall(r'<span class="score">([\d.]+)', page.text)]
    expected = [float(f"{value / 255:.4g}") for value in (255, 250, 245, 240, 235)]
    assert scores[:3] == expected[:3]
    assert scores[3:] == expected
    assert f"The worst 3 of {len(order)} are shown." in page.words
    assert f"5 of {len(order)} are listed" in page.words


def test_an_interrupted_run_leaves_no_page(tmp_path: Path, inspector: Inspector) -> None:
    path = tmp_path / "page.html"
    with pytest.raises(KeyboardInterrupt), RunReport(path, inspector, SCALE):
        raise KeyboardInterrupt
    assert not path.exists()


def test_a_page_that_could_not_be_written_is_refused_before_the_work(tmp_path: Path, inspector: Inspector) -> None:
    (tmp_path / "file").write_text("")
    for path, reason in ((tmp_path, "is a folder"), (tmp_path / "file/page.html", "cannot be written")):
        with pytest.raises(ClipspectError, match=reason), RunReport(path, inspector, SCALE):
            pytest.fail("it was entered")


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), max_size=30), st.integers(1, 6))
def test_the_highest_ranks_are_kept_and_of_equal_ones_the_first(ranks: list[tuple[int, float]], count: int) -> None:
    highest: report_run.Highest[int] = report_run.Highest(count)
    for number, rank in enumerate(ranks):
        if highest.wants(rank):
            highest.add(rank, number)
    assert highest.seen == len(ranks)
    assert list(highest) == sorted(range(len(ranks)), key=lambda number: (ranks[number], -number), reverse=True)[:count]
