"""Drift of drawn parts before a camera: less light, a blur, and when they are found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFilter

from clipspect.frame.quality import measure
from clipspect.line.drift import Drift
from clipspect.line.drift_words import Event, events
from clipspect.recipes.checks import quantities
from support.drawn_records import drawn_records

STABLE, PARTS = 200, 260
_Camera = Callable[[Image.Image], Image.Image]


def _part(rng: np.random.Generator) -> Image.Image:
    """A washer on a table, never in the same place, with noise and light as a camera has them."""
    rows, columns = np.mgrid[:96, :96] - 48
    distance = np.hypot(rows - rng.normal(0, 3), columns - rng.normal(0, 3))
    ring = ((distance > 14) & (distance < 34))[..., None]
    surface = np.where(ring, [150.0, 150.0, 165.0], [60.0, 70.0, 60.0]) * rng.normal(1, 0.02)
    return Image.fromarray(np.clip(surface + rng.normal(0, 3, (96, 96, 3)), 0, 255).astype(np.uint8))


def _found(camera: _Camera) -> list[Event]:
    rng, drift, changes = np.random.default_rng(31), Drift(), []
    for number, record in enumerate(drawn_records([1.0] * PARTS), 1):
        part = _part(rng)
        frame = camera(part) if number > STABLE else part
        quality = quantities(measure(np.asarray(frame)[None]), None, None)
        changes += drift.take(dataclasses.replace(record, score=None, quality=quality))
    return events(changes)


@pytest.mark.parametrize("light", [0.9, 1.1])
def test_ten_percent_of_light_are_found_within_twenty_parts_and_called_light(light: float) -> None:
    (event,) = _found(lambda part: part.point(lambda value: round(value * light)))
    assert (event.first.quantity, event.first.points_to) == ("brightness", "the light")
    assert event.first.found_part - STABLE < 20
    assert event.first.after / event.first.before == pytest.approx(light, abs=0.03)


def test_a_blur_is_found_within_twenty_parts_and_called_the_lens() -> None:
    (event,) = _found(lambda part: part.filter(ImageFilter.GaussianBlur(0.7)))
    assert (event.first.quantity, event.first.points_to) == ("sharpness", "the lens")
    assert event.first.found_part - STABLE < 20


def test_nothing_is_found_where_nothing_changes() -> None:
    assert _found(lambda part: part) == []
