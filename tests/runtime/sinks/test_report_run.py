"""The report of a run: everything is counted, what did not pass is shown, and the page is bounded."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

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
from clipspect.sinks.overlay_colours import HeatScale, colours
from clipspect.sinks.report_charts import score_histogram
from clipspect.sinks.report_encode import heat_within, jpeg_within
from clipspect.sinks.report_gallery import HEAT_BYTES, LARGE_BYTES, SMALL_BYTES
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
    assert page.text.count('<img class="photo"') == page.text.count('<img class="heat"') == 4
    shown = re.findall(r'<span class="name">([^<]*)</span>', page.text)
    assert [Path(name).stem for name in shown] == ["worse &lt;i&gt;", "bad", "doubtful", "good"]
    assert re.findall(r'class="filter" value="(\w+)"', page.text) == ["fail", "uncertain", "pass"]
    assert "broken.png: not an image" in words.split("could not be inspected")[-1]
    assert recipe.digest in words
    assert "reject limit 0.6" in words


def test_an_invalid_frame_is_shown_with_its_reason_and_no_score_bar(tmp_path: Path, inspector: Inspector) -> None:
    (outcome,) = inspector.stream([grey(200)], keep_pictures=True)
    invalid = dataclasses.replace(outcome.require(), verdict="invalid", reasons=("too <dark>",))
    page = report(tmp_path / "page.html", inspector, [dataclasses.replace(outcome, result=invalid)])
    assert "1 image: 1 invalid." in page.words
    assert page.words.count("too <dark>") == 2  # at its picture and in the table
    assert page.text.count("needle") == 1  # in the style alone
    assert 'class="marks"' not in page.text


def test_where_images_had_errors_the_page_is_not_the_green_of_a_pass(tmp_path: Path, inspector: Inspector) -> None:
    passed = list(inspector.stream([grey(20)], keep_pictures=True))
    broken = list(inspector.stream([np.full((9, 9), np.nan, np.float32)] * 5))
    for outcomes, verdict in ((passed, "pass"), (broken, "invalid"), (passed + broken, "invalid")):
        page = report(tmp_path / "page.html", inspector, outcomes)
        assert f'<div class="lead {verdict}">' in page.text
    assert "6 images: 1 pass, 5 could not be inspected." in page.words
    assert "<div><b>5</b>could not be inspected</div>" in page.text


def test_without_limits_every_image_is_shown_the_highest_score_first(tmp_path: Path, inspector: Inspector) -> None:
    with inspector.with_recipe("object") as unjudged:
        outcomes = list(unjudged.stream([grey(value) for value in range(20, 50)], keep_pictures=True))
        page = report(tmp_path / "page.html", unjudged, outcomes)
    assert "30 images: 30 without a verdict." in page.words
    assert "Nothing is promised: this recipe has no limits" in page.words
    assert page.text.count('<img class="photo"') == 30


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


def test_what_a_page_keeps_of_an_image_is_bounded_whatever_it_shows() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), np.uint8)
    found = jpeg_within(Image.fromarray(noise), 18_000)
    assert len(base64.b64decode(found.partition(",")[2])) <= 18_000
    heat = heat_within(noise[:160, :160, 0].astype(np.float32), HeatScale(0, 255), 6_000)
    assert len(base64.b64decode(heat.partition(",")[2])) <= 6_000
    assert heat_within(np.zeros((9, 9), np.float32), HeatScale(0, 1), 6_000) == ""
    most = report_run.MOST_PICTURES * (SMALL_BYTES + HEAT_BYTES) + report_run.MOST_IN_FULL * LARGE_BYTES
    assert most * 4 / 3 < 45e6


def test_the_heat_over_a_picture_has_the_colours_of_the_scale_and_is_clear_at_its_low_end() -> None:
    values = np.array([[0.0, 0.5, 1.0]], np.float32)
    data = heat_within(values, HeatScale(0, 1), 6_000).partition(",")[2]
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))[0]
    assert drawn[0, 3] == 0
    assert drawn[2, 3] > drawn[1, 3] > 100
    np.testing.assert_allclose(drawn[1:, :3], colours(values[0, 1:]), atol=6)


def test_a_part_that_failed_has_its_regions_marked_and_its_reasons_beside_it(
    tmp_path: Path, inspector: Inspector
) -> None:
    bundle = inspector.bundle.path
    with clipspect.load(bundle, inspector.recipe, backend="onnxruntime", explain=True) as explaining:
        outcomes = list(explaining.stream([handmade.spotted(), grey(20)], keep_pictures=True))
        assert outcomes[0].require().regions
        page = report(tmp_path / "page.html", explaining, outcomes)
    marks = [chart for chart in page.charts if chart.attrib.get("class") == "marks"]
    assert len(marks) == 1
    assert [int(mark.attrib["x"]) for mark in marks[0]] == [region.x for region in outcomes[0].require().regions]
    assert "region 1 at (" in page.words
    assert "the bundle's graph does not answer its windows" in page.words


def test_the_bars_of_a_run_hold_every_score_of_each_verdict() -> None:
    rng = np.random.default_rng(2)
    scores: dict[str | None, list[float]] = {"pass": rng.uniform(0, 0.3, 90).tolist(), "fail": [0.7, 0.9, 0.9]}
    chart = ElementTree.fromstring(re.findall(r"<svg viewBox=\"0 0 1000.*?</svg>", score_histogram(scores, None))[0])
    require_numbers(chart)
    heights = {"zone pass": 0.0, "zone fail": 0.0}
    for bar in chart.iter("rect"):
        heights[bar.attrib["class"]] += float(bar.attrib["height"])
    assert heights["zone fail"] / heights["zone pass"] == pytest.approx(3 / 90, rel=0.01)


def test_of_a_long_run_scores_are_thinned_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_run, "MOST_SCORES", 64)
    kept = report_run.RunScores()
    for number in range(1000):
        kept.add("pass" if number % 5 else "fail", number / 1000)
    assert kept.counted == 1000
    lengths = {name: len(own) for name, own in kept.by_verdict.items()}
    assert sum(lengths.values()) <= 64
    assert lengths["pass"] / sum(lengths.values()) == pytest.approx(0.8, abs=0.1)


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
