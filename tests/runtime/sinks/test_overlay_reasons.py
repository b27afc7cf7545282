"""What explains a region is drawn on its overlay, and said below it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

import clipspect
from clipspect.inspection.explanation import Explanation, Place, RegionReason, StateReason, WindowReason
from clipspect.inspection.explanation_words import explanation_lines, short_words
from clipspect.recipes.limits import Limits
from clipspect.sinks.overlay import draw_heat, render
from clipspect.sinks.overlay_colours import HeatScale
from support import handmade

SCALE = HeatScale(0.0, 1.0)
REASON = RegionReason(
    region=0,
    share=1.0,
    windows=(WindowReason(2, Place(4, 6, 32, 24), 0.91, 0.07),),
    states=(StateReason("anomalous", "nut with a scratch", 0.31), StateReason("normal", "flawless nut", 0.12)),
)


def marked(drawn: Image.Image) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (np.asarray(drawn) == (92, 225, 255)).all(axis=-1)
    return found


def test_the_window_of_a_part_that_failed_is_drawn_where_it_lies_and_of_no_other(tiny_bundle: Path) -> None:
    image = Image.fromarray(handmade.spotted())
    with clipspect.load(tiny_bundle, handmade.make_recipe("nut", limits=Limits(0.1, 0.2)), "onnxruntime") as inspector:
        plain = inspector.inspect(image)
    assert plain.verdict == "fail"
    explained = dataclasses.replace(plain, explanation=Explanation((REASON,)))
    drawn = marked(draw_heat(image, explained, SCALE))
    rows, columns = np.nonzero(drawn)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (4, 6, 35, 29)
    assert drawn[6, 4:36].all()
    assert not marked(draw_heat(image, plain, SCALE)).any()
    assert not marked(draw_heat(image, dataclasses.replace(explained, verdict="pass"), SCALE)).any()
    assert render(image, explained, SCALE).height > render(image, plain, SCALE).height  # what is said below it


def test_reasons_are_said_in_a_line_and_in_full() -> None:
    assert short_words(REASON) == '1: a window of 2 x 2 patches, like "nut with a scratch"'
    region = clipspect.Region(4, 6, 20, 10, 150, 0.8, (13.0, 11.0))
    assert explanation_lines(Explanation((REASON,), ("a note",)), [region, region], 0.5) == [
        "region 1 at (4, 6), 20 x 10: peak 0.8, map limit 0.5; 100 % of what the map has over it",
        "  window of 2 x 2 patches at (4, 6), 32 x 24: anomalous 0.91, raises the map here by 0.07",
        '  of the damaged states most like "nut with a scratch" (0.31)',
        '  of the good states most like "flawless nut" (0.12)',
        "1 more region is not explained",
        "a note",
    ]
