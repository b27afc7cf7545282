"""The windows and patches that explain regions, drawn on an overlay."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from clipspect.inspection.explanation import Place
from clipspect.inspection.result import Result
from clipspect.sinks.overlay_caption import MOST_REASONS

_MARK, _HALO = (92, 225, 255), (0, 0, 0)


def mark_reasons(drawn: Image.Image, result: Result) -> Image.Image:
    """The picture itself, with the window or patch that raised each region of the caption, and its number."""
    draw, (across, down) = ImageDraw.Draw(drawn), (drawn.width / result.size[0], drawn.height / result.size[1])
    line, font = max(1, round(max(drawn.size) / 300)), ImageFont.load_default(max(12, round(max(drawn.size) / 24)))
    for number, place in reason_places(result):
        if number <= MOST_REASONS:
            left, top = place.x * across, place.y * down
            right, bottom = (
                max((place.x + place.width) * across - 1, left),
                max((place.y + place.height) * down - 1, top),
            )
            draw.rectangle((left, top, right, bottom), outline=_MARK, width=line)
            draw.text((left + 2 * line, top + line), str(number), _MARK, font, stroke_width=1, stroke_fill=_HALO)
    return drawn


def reason_places(result: Result) -> list[tuple[int, Place]]:
    """Of each region that is explained its number, from 1, and its first window or its patch."""
    found = []
    for reason in () if result.explanation is None else result.explanation.regions:
        places = [window.place for window in reason.windows[:1]]
        places += [] if reason.reference is None else [reason.reference.patch]
        found += [(reason.region + 1, place) for place in places]
    return found
