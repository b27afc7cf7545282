"""Overlays: one scale for all images, readable at every size."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from clipspect.inspection.regions import find_regions
from clipspect.inspection.result import Result, Timings
from clipspect.sinks.overlay import HeatScale, colours, draw_heat, outline, render
from support import handmade

SCALE = HeatScale(0.0, 1.0)


def result_of(anomaly_map: np.ndarray, verdict: str | None = None) -> Result:  # type: ignore[type-arg]
    values = anomaly_map.astype(np.float32)
    regions = find_regions(values, 0.5)
    size = (values.shape[1], values.shape[0])
    recipe, timings = handmade.make_recipe(), Timings(1, 1, 1, 1)
    return Result(None, float(values.max()), values, size, recipe, verdict, regions, 0.5, timings)  # type: ignore[arg-type]


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


@pytest.mark.parametrize("size", [(1, 1), (10, 900), (2000, 3), (240, 240), (8000, 6000)])
@pytest.mark.parametrize("verdict", [None, "uncertain"])
def test_overlays_of_any_size_are_readable_and_handy(size: tuple[int, int], verdict: str | None) -> None:
    width, height = size
    drawn = render(Image.new("RGB", size), result_of(np.full((height, width), 0.7), verdict), SCALE)
    assert 360 <= drawn.width <= 1600
    assert max(drawn.size) >= 480
    assert drawn.height <= 1700


def test_an_outline_runs_around_the_mask_and_not_over_it() -> None:
    mask = np.zeros((100, 100), bool)
    mask[40:60, 40:60] = True
    drawn = np.asarray(outline(Image.new("RGB", (100, 100), (9, 9, 9)), mask, (255, 0, 0)))
    assert (drawn[mask] == 9).all()
    assert drawn[39, 50].tolist() == [255, 0, 0]
    assert (drawn[:30] == 9).all()
