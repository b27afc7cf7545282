"""What a frame looks like in a few numbers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from clipspect.frame.prepare import prepare
from clipspect.frame.quality import measure
from clipspect.frame.spec import ImageSpec

COOKIES = sorted((Path(__file__).parents[2] / "photos" / "cookies" / "full").glob("*.jpg"))


def plainly(pixels: npt.NDArray[np.uint8]) -> dict[str, float | list[float]]:
    """The formulas of docs/bundle-format.md, pixel by pixel."""
    views, height, width, _ = pixels.shape
    grey, spread, clipped, edges = [], 0, 0, 0
    for view in pixels.tolist():
        rows = [[(19595 * r + 38470 * g + 7471 * b + 32768) >> 16 for r, g, b in row] for row in view]
        grey += [level for row in rows for level in row]
        spread += sum(max(pixel) - min(pixel) for row in view for pixel in row)
        clipped += sum(sample <= 5 or sample >= 250 for row in view for pixel in row for sample in pixel)
        for i in range(1, height - 1):
            for j in range(1, width - 1):
                around = rows[i - 1][j] + rows[i + 1][j] + rows[i][j - 1] + rows[i][j + 1]
                edges += abs(4 * rows[i][j] - around)
    means = []
    for i in range(4):
        for j in range(4):
            inside = np.s_[:, i * height // 4 : (i + 1) * height // 4, j * width // 4 : (j + 1) * width // 4]
            means += [pixels[inside][..., channel].mean() for channel in range(3)]
    count = views * height * width
    total, squares = sum(grey), sum(level * level for level in grey)
    return {
        "brightness": total / count,
        "contrast": math.sqrt(count * squares - total * total) / count,
        "saturation": spread / count,
        "clipped": clipped / (3 * count),
        "sharpness": edges / (views * (height - 2) * (width - 2)),
        "layout": [mean - sum(means) / 48 for mean in means],
    }


@given(st.integers(0, 99), st.integers(1, 2), st.integers(4, 13), st.integers(4, 13), st.sampled_from([2, 60, 256]))
def test_the_quantities_are_those_of_their_formulas(seed: int, views: int, height: int, width: int, span: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 257 - span)
    pixels = rng.integers(low, low + span, (views, height, width, 3), dtype=np.uint8)
    found, expected = vars(measure(pixels)), plainly(pixels)
    assert {name: value for name, value in found.items() if name != "layout"} == {
        name: value for name, value in expected.items() if name != "layout"
    }
    assert found["layout"] == pytest.approx(expected["layout"], abs=1e-9)


def test_a_smaller_model_than_the_layouts_cells_is_measured_too() -> None:
    assert measure(np.full((1, 4, 4, 3), 9, np.uint8)).sharpness == 0


@pytest.mark.parametrize("photo", COOKIES, ids=lambda path: path.name)
def test_a_blur_of_one_pixel_of_a_photograph_shows_at_the_models_size(photo: Path) -> None:
    image, spec = Image.open(photo).convert("RGB"), ImageSpec(240, 240)
    blurs = (0.0, 0.5, 1.0, 2.0, 4.0)
    found = [prepare(image.filter(ImageFilter.GaussianBlur(blur)), spec).quality.sharpness for blur in blurs]
    assert found == sorted(found, reverse=True)
    assert found[2] < 0.75 * found[0]
    assert found[3] < 0.5 * found[0]


@given(st.integers(0, 1000), st.integers(4, 12), st.integers(4, 12))
def test_of_all_pixels_judged_the_quality_is_that_of_the_frame(seed: int, height: int, width: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    judged = measure(pixels, np.ones(pixels.shape[:3], bool))
    assert vars(judged) | {"layout": None} == vars(measure(pixels)) | {"layout": None}
    assert judged.layout == pytest.approx(measure(pixels).layout, abs=1e-12)


@given(st.integers(0, 1000))
def test_pixels_that_are_not_judged_have_no_part_in_the_quality(seed: int) -> None:
    rng = np.random.default_rng(seed)
    judged = np.zeros((1, 16, 20), bool)
    judged[0, 3:11, 5:17] = True
    judged[0, 5:7, 8:10] = False
    pixels, others = rng.integers(0, 256, (2, 1, 16, 20, 3), dtype=np.uint8)
    others[judged] = pixels[judged]
    assert measure(pixels, judged) == measure(others, judged)
    plain = rng.integers(0, 256, (1, 16, 20, 3), dtype=np.uint8)
    box = np.zeros_like(judged)
    box[0, 3:11, 5:17] = True
    inside = measure(plain[:, 3:11, 5:17])
    assert measure(plain, box).layout == pytest.approx(inside.layout, abs=1e-12)
    assert measure(plain, box).sharpness == inside.sharpness
