"""What is written below an overlay: the verdict, the score on a bar with both limits, the heat's scale, the reasons."""

from __future__ import annotations

import textwrap

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from clipspect.inspection.explanation_words import short_words
from clipspect.inspection.result import Result
from clipspect.sinks.overlay_colours import HeatScale, colours
from clipspect.sinks.score_axis import ScoreAxis, score_axis
from clipspect.sinks.verdict_style import VERDICT_STYLES

MIN_WIDTH = 480  # pixels: narrower captions could not be read
PAPER = (24, 24, 27)
_INK, _SOFT = (236, 236, 236), (170, 170, 178)
_MOST_REASON_LINES = 3
MOST_REASONS = 3  # regions that are explained
_NO_LIMITS = "no verdict: the recipe has no limits"


def draw_caption(width: int, result: Result, scale: HeatScale) -> Image.Image:
    """A strip of that width, as high as it takes."""
    text_size = round(min(max(width / 40, 14), 24))
    reasons = _reason_lines(result.reasons or _nothing_marked(result) or _explained(result), width, text_size)
    axis = (
        score_axis(result.recipe, result.limits) if result.verdict != "invalid" else None
    )  # its score says nothing of the part
    rows = [2.0 * text_size, 0 if axis is None else 3.0 * text_size, 1.3 * text_size * len(reasons)]
    height = round(sum(rows) + (0.5 * text_size if axis is not None or reasons else 0))
    canvas = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    _draw_verdict(draw, text_size, result)
    _draw_heat_scale(canvas, draw, text_size, scale, result.map_limit)
    top = rows[0]
    for line in reasons:
        draw.text((text_size // 2, top), line, fill=_INK, font=_font(text_size * 0.85))
        top += 1.3 * text_size
    if axis is not None:
        _draw_score_bar(draw, (text_size // 2, top, width - text_size // 2), text_size, axis, result)
    return canvas


def _draw_verdict(draw: ImageDraw.ImageDraw, text_size: int, result: Result) -> None:
    font = _font(text_size)
    x, middle = text_size / 2, 1.1 * text_size
    if result.verdict is None:
        draw.text((x, middle), f"score {result.score:.4g}", fill=_INK, font=font, anchor="lm")
        x += draw.textlength(f"score {result.score:.4g}", font=font) + text_size
        draw.text((x, middle), _NO_LIMITS, fill=_SOFT, font=_font(text_size * 0.75), anchor="lm")
        return
    style, word = VERDICT_STYLES[result.verdict], result.verdict.upper()
    right = x + draw.textlength(word, font=font) + 2.4 * text_size
    draw.rounded_rectangle(
        (x, middle - text_size * 0.8, right, middle + text_size * 0.8), radius=text_size * 0.3, fill=style.colour
    )
    _draw_sign(draw, (x + text_size, middle), text_size, result.verdict)
    draw.text((x + 1.9 * text_size, middle), word, fill=style.ink, font=font, anchor="lm")
    draw.text((right + text_size * 0.8, middle), f"score {result.score:.4g}", fill=_INK, font=font, anchor="lm")


def _draw_sign(draw: ImageDraw.ImageDraw, centre: tuple[float, float], text_size: int, verdict: str) -> None:
    """The verdict's sign, drawn: the font that comes with Pillow has not all of them."""
    ink, (x, y), reach, line = VERDICT_STYLES[verdict].ink, centre, text_size * 0.32, max(2, text_size // 7)
    if verdict == "pass":
        corners = [(x - reach, y), (x - reach * 0.3, y + reach * 0.8), (x + reach, y - reach * 0.8)]
        draw.line(corners, fill=ink, width=line, joint="curve")
    elif verdict == "fail":
        draw.line((x - reach, y - reach, x + reach, y + reach), fill=ink, width=line)
        draw.line((x - reach, y + reach, x + reach, y - reach), fill=ink, width=line)
    elif verdict == "invalid":
        draw.line((x - reach, y, x + reach, y), fill=ink, width=line)
    else:
        draw.text(centre, VERDICT_STYLES[verdict].sign, fill=ink, font=_font(text_size * 1.1), anchor="mm")


def _draw_heat_scale(
    canvas: Image.Image, draw: ImageDraw.ImageDraw, text_size: int, scale: HeatScale, map_limit: float
) -> None:
    small, middle = _font(text_size * 0.75), round(1.1 * text_size)
    low, high = f"{scale.low:.3g}", f"{scale.high:.3g}"
    right = canvas.width - text_size // 2 - draw.textlength(high, font=small)
    bar_width, bar_height = round(canvas.width * 0.16), round(text_size * 0.7)
    left = round(right - text_size / 4 - bar_width)
    draw.text((right, middle), high, fill=_SOFT, font=small, anchor="lm")
    draw.text((left - text_size / 4, middle), low, fill=_SOFT, font=small, anchor="rm")
    bar = np.tile(colours(np.linspace(0, 1, bar_width, dtype=np.float32)), (bar_height, 1, 1))
    canvas.paste(Image.fromarray(bar.astype(np.uint8)), (left, middle - bar_height // 2))
    share = (map_limit - scale.low) / (scale.high - scale.low)
    if 0 <= share <= 1:  # where the contours run
        mark, reach = left + share * (bar_width - 1), text_size * 0.5
        draw.line((mark, middle - reach, mark, middle + reach), fill=_INK, width=max(1, text_size // 10))


def _draw_score_bar(
    draw: ImageDraw.ImageDraw, box: tuple[float, float, float], text_size: int, axis: ScoreAxis, result: Result
) -> None:
    """`box` is left, top and right. The needle is at the end where the score lies beyond it."""
    left, top, right = box
    bar_top, bar_bottom = top + 0.8 * text_size, top + 1.4 * text_size

    def at(share: float) -> float:
        return left + share * (right - left)

    for verdict, start, end in axis.zones():
        if start < end:
            draw.rectangle((at(start), bar_top, at(end), bar_bottom), fill=VERDICT_STYLES[verdict].colour)
    small = _font(text_size * 0.75)
    line, pad, under = max(1, text_size // 10), text_size * 0.2, bar_bottom + text_size * 0.35
    review, reject = at(axis.share(axis.limits.review)), at(axis.share(axis.limits.reject))
    for x in (review, reject):
        draw.line((x, bar_top - 2, x, under), fill=_INK, width=line)
    words = f"review {axis.limits.review:.4g}"  # away from each other, so that they never overlap
    end = max(review - pad, left + draw.textlength(words, font=small))
    draw.text((end, under), words, fill=_SOFT, font=small, anchor="rt")
    draw.text((reject + pad, under), f"reject {axis.limits.reject:.4g}", fill=_SOFT, font=small, anchor="lt")
    needle, reach = at(axis.share(result.score)), text_size * 0.4
    shape = [(needle - reach, top), (needle + reach, top), (needle, bar_bottom)]
    draw.polygon(shape, fill=_INK, outline=PAPER)


def _explained(result: Result) -> tuple[str, ...]:
    """What raised the worst regions that are outlined, where that was asked for."""
    if result.explanation is None or result.verdict == "pass":
        return ()
    return tuple(filter(None, map(short_words, result.explanation.regions[:MOST_REASONS])))


def _nothing_marked(result: Result) -> tuple[str, ...]:
    """Why a part that is not passed has no outline."""
    if result.verdict not in {"uncertain", "fail"} or result.regions:
        return ()
    return (f"no region: the hottest place, {result.peak:.4g}, lies below {result.map_limit:.4g}, where regions begin",)


def _reason_lines(reasons: tuple[str, ...], width: int, text_size: int) -> list[str]:
    """The reasons, wrapped; what does not fit into three lines is in the record."""
    if not reasons:
        return []
    return textwrap.wrap(
        "; ".join(reasons), max(20, round(width / (text_size * 0.45))), max_lines=_MOST_REASON_LINES, placeholder=" ..."
    )


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(round(size))
