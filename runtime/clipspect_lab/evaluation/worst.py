"""The picture of the maps that differ most: the image, both maps on one scale, and where they differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from clipspect.frame.decode import decode
from clipspect.inspection.maps import Map
from clipspect.sinks.overlay_colours import colours

_SIDE, _GAP, _CAPTION = 320, 8, 26  # pixels
_INK, _PAPER = (236, 236, 236), (24, 24, 27)


def draw_worst(path: Path, maps: tuple[Map, Map], names: tuple[str, str]) -> Image.Image:
    """Maps (H, W) as shares of their range, both coldest at 0 and hottest at 1; the difference has its own scale."""
    one, other = maps
    difference = np.abs(one - other)
    largest = float(difference.max())
    panels = [
        (path.name, decode(path).convert("RGB")),
        (names[0], _heat(one, 1.0)),
        (names[1], _heat(other, 1.0)),
        (f"difference, 0 to {largest:.2g}", _heat(difference, largest)),
    ]
    canvas = Image.new("RGB", (4 * _SIDE + 5 * _GAP, _SIDE + _CAPTION + _GAP), _PAPER)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    for column, (caption, panel) in enumerate(panels):
        left = _GAP + column * (_SIDE + _GAP)
        canvas.paste(_fitted(panel), (left, _CAPTION))
        draw.text((left, _CAPTION // 2), _shortened(caption, draw, font), fill=_INK, font=font, anchor="lm")
    return canvas


def _heat(values: Map, hottest: float) -> Image.Image:
    heat = np.clip(values / np.float32(hottest), 0, 1) if hottest > 0 else np.zeros_like(values)
    return Image.fromarray(colours(heat).astype(np.uint8))


def _fitted(panel: Image.Image) -> Image.Image:
    """Squashed to a square, as the model sees it: maps and image lie over each other."""
    return panel.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)


def _shortened(text: str, draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """The end of a caption that is too wide: of a path, its name."""
    shown = text
    while draw.textlength(shown, font=font) > _SIDE and len(shown) > 4:
        shown = f"...{shown.lstrip('.')[1:]}"
    return shown
