"""Pictures for people: the image under its heat, the regions' contours, the score and the scale.

The scale of the colours is given, the same for every image, so that a good part looks calm
beside a bad one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from clipspect.inspection.result import Result

Mask = npt.NDArray[np.bool_]

# matplotlib's "inferno" (CC0) at 9 even steps; perceptually uniform, and still ordered in grey
_INFERNO = np.array(
    [
        (0, 0, 4), (32, 12, 74), (87, 16, 110), (138, 34, 106), (188, 55, 84),
        (227, 89, 51), (249, 140, 10), (249, 201, 50), (252, 255, 164),
    ],
    dtype=np.float32,
)  # fmt: skip
_OPAQUE = 0.8  # of the heat at the top of the scale
_SHORT, _LONG = 480, 1600  # pixels: smaller pictures are enlarged to be readable, larger ones shrunk to be handy
_MIN_WIDTH = 360  # of the caption
_INK, _PAPER = (236, 236, 236), (24, 24, 27)
_CONTOUR, _HALO = (255, 255, 255), (0, 0, 0)
VERDICT_COLOURS = {"pass": (34, 160, 84), "uncertain": (214, 158, 16), "fail": (214, 51, 51)}


@dataclass(frozen=True)
class HeatScale:
    """The anomaly map's values that are drawn coldest and hottest."""

    low: float
    high: float


def render(image: Image.Image, result: Result, scale: HeatScale) -> Image.Image:
    """The overlay that `clipspect run` writes: `draw_heat` and, below it, score, verdict and colour bar."""
    picture = draw_heat(image, result, scale)
    width = max(picture.width, _MIN_WIDTH)
    text_size = round(min(max(width / 34, 13), 28))
    canvas = Image.new("RGB", (width, picture.height + 3 * text_size), _PAPER)
    canvas.paste(picture, ((width - picture.width) // 2, 0))
    _draw_caption(canvas, picture.height, text_size, result, scale)
    return canvas


def draw_heat(image: Image.Image, result: Result, scale: HeatScale, longest: int | None = None) -> Image.Image:
    """The image with its map as heat and its regions outlined.

    The longer side becomes `longest` pixels; without it, it is brought between 480 and 1600.
    """
    size = _display_size(image.size, longest)
    base: npt.NDArray[Any] = np.asarray(image.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
    values = np.asarray(Image.fromarray(result.anomaly_map).resize(size, Image.Resampling.BILINEAR))
    heat = np.clip((values - scale.low) / (scale.high - scale.low), 0.0, 1.0)
    alpha = (_OPAQUE * heat)[..., None]  # nothing at the low end: a good part stays clean
    blended = base * (1 - alpha) + colours(heat) * alpha
    return outline(Image.fromarray(blended.astype(np.uint8)), values > result.map_limit)


def outline(picture: Image.Image, mask: Mask, colour: tuple[int, int, int] = _CONTOUR) -> Image.Image:
    """Draw the contour of a mask (H, W) of the picture's size: a line with a dark halo, visible on any ground."""
    if not mask.any():
        return picture
    line = max(1, round(max(picture.size) / 400))
    filled = Image.fromarray(mask.astype(np.uint8) * 255)
    inner, outer = (
        filled.filter(ImageFilter.MaxFilter(2 * line + 1)),
        filled.filter(ImageFilter.MaxFilter(2 * line + 3)),
    )
    picture = picture.copy()
    picture.paste(_HALO, mask=Image.fromarray(np.asarray(outer) & ~np.asarray(inner) & 150))
    picture.paste(colour, mask=Image.fromarray(np.asarray(inner) & ~np.asarray(filled)))
    return picture


def colours(heat: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Values 0 to 1 of any shape as RGB 0 to 255, shape (..., 3)."""
    index = np.rint(heat * (len(_TABLE) - 1)).astype(np.intp)
    rgb: npt.NDArray[np.float32] = _TABLE[index]
    return rgb


def _interpolate(steps: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    position = np.linspace(0, len(steps) - 1, count)
    return np.stack([np.interp(position, np.arange(len(steps)), channel) for channel in steps.T], axis=1).astype(
        np.float32
    )


_TABLE = _interpolate(_INFERNO, 256)


def _display_size(size: tuple[int, int], longest: int | None) -> tuple[int, int]:
    side = max(size)
    target = longest or min(max(side, _SHORT), _LONG)
    return max(1, round(size[0] * target / side)), max(1, round(size[1] * target / side))


def _draw_caption(canvas: Image.Image, top: int, text_size: int, result: Result, scale: HeatScale) -> None:
    draw = ImageDraw.Draw(canvas)
    font, small = ImageFont.load_default(text_size), ImageFont.load_default(round(text_size * 0.75))
    pad, middle = text_size // 2, top + (canvas.height - top) // 2
    score = f"score {result.score:.3f}"
    draw.text((pad, middle), score, fill=_INK, font=font, anchor="lm")
    x = pad + draw.textlength(score, font=font) + text_size
    if result.verdict:
        word = result.verdict.upper()
        box = (x, middle - text_size * 0.8, x + draw.textlength(word, font=font) + text_size, middle + text_size * 0.8)
        draw.rounded_rectangle(box, radius=text_size * 0.3, fill=VERDICT_COLOURS[result.verdict])
        draw.text((x + text_size / 2, middle), word, fill=(255, 255, 255), font=font, anchor="lm")
    low, high = f"{scale.low:g}", f"{scale.high:g}"
    right = canvas.width - pad - draw.textlength(high, font=small)
    bar_width, bar_height = round(canvas.width * 0.22), text_size
    left = round(right - pad / 2 - bar_width)
    draw.text((right, middle), high, fill=_INK, font=small, anchor="lm")
    draw.text((left - pad / 2, middle), low, fill=_INK, font=small, anchor="rm")
    bar = np.tile(colours(np.linspace(0, 1, bar_width, dtype=np.float32)), (bar_height, 1, 1))
    canvas.paste(Image.fromarray(bar.astype(np.uint8)), (left, middle - bar_height // 2))
    share = (result.map_limit - scale.low) / (scale.high - scale.low)
    if 0 <= share <= 1:  # where the contours run
        mark = left + share * (bar_width - 1)
        draw.line(
            (mark, middle - bar_height * 0.7, mark, middle + bar_height * 0.7), fill=_INK, width=max(1, text_size // 10)
        )
