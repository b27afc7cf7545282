"""Verdicts can be told apart by people who see colours otherwise, and read by everybody."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from clipspect.sinks.verdict_style import VERDICT_STYLES, Colour

Floats = npt.NDArray[np.float64]

# Machado, Oliveira and Fernandes (2009), severity 1: what linear RGB looks like
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_CLEARLY_APART = 30  # CIE76; 2.3 is just noticeable


def linear(colour: Colour) -> Floats:
    share = np.asarray(colour) / 255
    values: Floats = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return values


def lab(rgb: Floats) -> Floats:
    x, y, z = np.cbrt(_XYZ @ np.clip(rgb, 1e-3, 1) / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one: Colour, other: Colour) -> float:
    """WCAG 2's contrast ratio."""
    low, high = sorted(float(linear(colour) @ _XYZ[1]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("sight", SIGHTS)
def test_verdicts_have_colours_that_stay_apart_for_every_sight(sight: str) -> None:
    seen = {name: lab(np.asarray(SIGHTS[sight]) @ linear(style.colour)) for name, style in VERDICT_STYLES.items()}
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > _CLEARLY_APART, (one, other)


@pytest.mark.parametrize("verdict", VERDICT_STYLES)
def test_a_verdict_can_be_read_on_its_colour(verdict: str) -> None:
    style = VERDICT_STYLES[verdict]
    assert contrast(style.ink, style.colour) >= 4.5


def test_every_verdict_has_its_own_sign() -> None:
    assert len({style.sign for style in VERDICT_STYLES.values()}) == len(VERDICT_STYLES) == 4
