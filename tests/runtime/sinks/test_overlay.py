"""Overlays: one scale for all images, readable at every size."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from clipspect.frame.judged_area import JudgedArea
from clipspect.frame.region_of_interest import Area, RegionOfInterest
from clipspect.inspection.regions import find_regions
from clipspect.inspection.result import Result, Timings
from clipspect.recipes.limits import Limits
from clipspect.sinks.outline import outline
from clipspect.sinks.overlay import draw_heat, render
from clipspect.sinks.overlay_colours import HeatScale, colours, heat_scale
from clipspect.sinks.verdict_style import VERDICT_STYLES
from support import handmade

SCALE = HeatScale(0.0, 1.0)


def result_of(
    anomaly_map: np.ndarray,  # type: ignore[type-arg]
    verdict: str | None = None,
    limits: Limits | None = None,
    score: float | None = None,
    reasons: tuple[str, ...] = (),
) -> Result:
    values = anomaly_map.astype(np.float32)
    regions = find_regions(values, 0.5)
    size = (values.shape[1], values.shape[0])
    recipe, timings = handmade.make_recipe(limits=limits), Timings(1, 1, 1, 1)
    known = float(values.max()) if score is None else score
    return Result(None, known, values, size, recipe, verdict, regions, 0.5, timings, handmade.QUALITY, limits, reasons)  # type: ignore[arg-type]


def test_the_bottom_of_the_scale_leaves_the_image_as_it_is() -> None:
    image = Image.new("RGB", (600, 500), (90, 120, 150))
    drawn = np.asarray(draw_heat(image, result_of(np.zeros((500, 600))), SCALE))
    assert (drawn == (90, 120, 150)).all()


def test_the_same_value_has_the_same_colour_in_every_image() -> None:
    image = Image.new("RGB", (600, 500), (90, 120, 150))
    calm = np.full((500, 600), 0.3)
    wild = calm.copy()
    wild[:100, :100] = 0.9
    calm_picture, wild_picture = (np.asarray(draw_heat(image, result_of(m), SCALE)) for m in (calm, wild))
    np.testing.assert_array_equal(calm_picture[400, 500], wild_picture[400, 500])


def test_hotter_is_lighter_in_colour_and_in_grey() -> None:
    table = colours(np.linspace(0, 1, 64, dtype=np.float32))
    assert (np.diff(table @ [0.299, 0.587, 0.114]) > 0).all()
    assert table.min() >= 0
    assert table.max() <= 255


@pytest.mark.parametrize("size", [(1, 1), (10, 900), (2000, 3), (240, 240), (4000, 3000)])
@pytest.mark.parametrize("verdict", [None, "uncertain"])
def test_overlays_of_any_size_are_readable_and_handy(size: tuple[int, int], verdict: str | None) -> None:
    width, height = size
    drawn = render(Image.new("RGB", size), result_of(np.full((height, width), 0.7), verdict), SCALE)
    assert 360 <= drawn.width <= 1620
    assert max(drawn.size) >= 480
    assert drawn.height <= 1700


def test_an_outline_runs_around_the_mask_and_not_over_it() -> None:
    mask = np.zeros((100, 100), bool)
    mask[40:60, 40:60] = True
    drawn = np.asarray(outline(Image.new("RGB", (100, 100), (9, 9, 9)), mask, (255, 0, 0)))
    assert (drawn[mask] == 9).all()
    assert drawn[39, 50].tolist() == [255, 0, 0]
    assert (drawn[:30] == 9).all()


def test_the_picture_as_it_is_stands_beside_its_heat() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    drawn = np.asarray(render(Image.fromarray(noise), result_of(np.full((400, 500), 0.4)), SCALE))
    np.testing.assert_array_equal(drawn[:400, :500], noise)
    assert (drawn[:400, 504:1004] != noise).any(axis=-1).mean() > 0.9


def test_the_heat_of_a_wide_frame_lies_below_it() -> None:
    grey = Image.new("RGB", (600, 100), (90, 90, 90))
    drawn = np.asarray(render(grey, result_of(np.full((100, 600), 0.9)), SCALE))
    assert (drawn[:100, :600] == 90).all()
    assert (drawn[104:204, :600] != 90).any(axis=-1).all()


def contour_of(verdict: str | None) -> int:
    """How many pixels of a frame with a hot spot are as white as a contour."""
    values = np.zeros((400, 500))
    values[100:200, 100:200] = 0.9
    drawn = draw_heat(Image.new("RGB", (500, 400)), result_of(values, verdict), SCALE)
    return int((np.asarray(drawn) == 255).all(axis=-1).sum())


def test_regions_are_outlined_unless_the_part_passes_or_the_frame_is_invalid() -> None:
    assert contour_of("pass") == contour_of("invalid") == 0
    assert contour_of("fail") == contour_of("uncertain") == contour_of(None) > 300


def test_a_region_of_one_pixel_in_a_large_frame_is_still_outlined() -> None:
    values = np.zeros((1500, 2000))
    values[700, 1000] = 0.9
    drawn = np.asarray(draw_heat(Image.new("RGB", (2000, 1500)), result_of(values, "fail"), SCALE, longest=400))
    rows, columns = np.nonzero((drawn == 255).all(axis=-1))
    assert abs(rows.mean() - 140) <= 1
    assert abs(columns.mean() - 200) <= 1


@pytest.mark.parametrize("verdict", ["pass", "uncertain", "fail", "invalid"])
def test_the_verdict_is_drawn_in_its_colour_with_a_sign_and_a_word(verdict: str) -> None:
    frame = Image.new("RGB", (500, 400))
    drawn = np.asarray(render(frame, result_of(np.zeros((400, 500)), verdict), SCALE))[400:]
    style = VERDICT_STYLES[verdict]
    chip = (drawn == style.colour).all(axis=-1)
    rows, columns = np.nonzero(chip)
    box = drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    ink = (np.abs(box.astype(int) - style.ink).max(axis=-1) < 40).any(axis=0)
    strokes = np.count_nonzero(np.diff(ink.astype(int)) == 1)
    assert chip.sum() > 500
    assert strokes >= 4, "a sign and at least three letters"


@pytest.mark.parametrize(("score", "share"), [(0.0, 0.0), (0.3, 0.25), (0.6, 0.5), (0.9, 0.75), (7.0, 1.0)])
def test_the_needle_points_at_the_score_between_the_limits(score: float, share: float) -> None:
    limits = Limits(0.3, 0.6)  # the axis: 0 to 1.2
    verdict = "pass" if score < 0.3 else "uncertain" if score < 0.6 else "fail"
    frame = Image.new("RGB", (500, 400))
    marked = np.zeros((400, 500))
    marked[100:110, 100:110] = 0.9  # what is marked needs no words
    drawn = np.asarray(render(frame, result_of(marked, verdict, limits, score), SCALE))[450:]
    zones = {
        name: np.nonzero((drawn == VERDICT_STYLES[name].colour).all(axis=-1))[1]
        for name in ("pass", "uncertain", "fail")
    }
    left, right = zones["pass"].min(), zones["fail"].max()
    width = right - left
    assert abs(zones["uncertain"].min() - (left + width / 4)) <= 3
    assert abs(zones["fail"].min() - (left + width / 2)) <= 3
    bar = np.nonzero((drawn == VERDICT_STYLES["fail"].colour).all(axis=-1))[0]
    above = drawn[: bar.min() - 3]
    needle = np.nonzero((above > 200).all(axis=-1))[1]
    assert abs(needle.mean() - (left + share * width)) <= 3


def test_an_invalid_frame_shows_its_reasons_and_no_score_bar() -> None:
    frame, nothing, limits = Image.new("RGB", (500, 400)), np.zeros((400, 500)), Limits(0.3, 0.6)
    bare = render(frame, result_of(nothing, "invalid", limits), SCALE)
    one = render(frame, result_of(nothing, "invalid", limits, reasons=("too dark",)), SCALE)
    many = render(frame, result_of(nothing, "invalid", limits, reasons=("too dark " * 12,) * 40), SCALE)
    assert bare.height < one.height < many.height < one.height + 100
    written = np.asarray(one)[bare.height :]
    assert ((written > 150).all(axis=-1)).sum() > 50
    for picture in (bare, one):
        assert not (np.asarray(picture) == VERDICT_STYLES["fail"].colour).all(axis=-1).any()


def test_a_part_that_fails_with_nothing_marked_says_why() -> None:
    frame, limits = Image.new("RGB", (500, 400)), Limits(0.3, 0.6)
    nothing, marked = np.zeros((400, 500)), np.zeros((400, 500))
    marked[100:110, 100:110] = 0.9
    heights = [render(frame, result_of(values, "fail", limits, 0.8), SCALE).height for values in (nothing, marked)]
    assert heights[0] > heights[1]
    assert render(frame, result_of(nothing, "pass", limits, 0.1), SCALE).height == heights[1]


def test_the_limit_of_the_map_lies_in_the_middle_of_the_heat() -> None:
    assert heat_scale((0.0, 1.0), 0.5) == HeatScale(0.0, 1.0)
    assert heat_scale((0.0, 1.0), 0.2) == HeatScale(0.0, 0.4)
    assert heat_scale((0.0, 1.0), 0.9) == HeatScale(0.0, 1.0)
    assert heat_scale((0.0, 1.0), 1.5) == HeatScale(0.0, 3.0)
    assert heat_scale((0.0, 1.0), 0.0) == HeatScale(0.0, 1.0)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_frames_of_every_mode_are_drawn(mode: str) -> None:
    drawn = render(
        Image.new(mode, (500, 400), 90 if mode == "L" else (90, 90, 90)), result_of(np.zeros((400, 500))), SCALE
    )
    assert (np.asarray(drawn)[:400, :500] == 90).all()


def test_what_is_not_judged_lies_in_the_dark() -> None:
    region = RegionOfInterest((600, 500), Area((((0, 0), (300, 0), (300, 500), (0, 500)),)))
    result = dataclasses.replace(result_of(np.full((500, 600), 0.9)), area=JudgedArea(region, (600, 500)))
    drawn = np.asarray(draw_heat(Image.new("RGB", (600, 500), (200, 200, 200)), result, SCALE)).astype(int)
    assert len(set(map(tuple, drawn[:, 310:].reshape(-1, 3).tolist()))) == 1
    assert drawn[:, 310:].max() == 70
    assert drawn[:, :290].max() > 200
