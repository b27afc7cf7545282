"""Pictures in a page's own text, each of a bounded size, so that a page of a thousand can be sent."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from clipspect.inspection.maps import Map
from clipspect.sinks.overlay_colours import HeatScale, colours

_QUALITIES = (80, 65, 50, 35)
_LEVELS = 64  # of heat
_OPAQUE = 230  # of 255: the alpha of the hottest level


def jpeg_within(image: Image.Image, most: int) -> str:
    """A data URI of an RGB image in at most so many bytes: of less quality, and then of fewer pixels, where it must."""
    while True:
        for quality in _QUALITIES:
            file = io.BytesIO()
            image.save(file, "JPEG", quality=quality, optimize=True)
            if file.tell() <= most or max(image.size) <= 16:
                return _uri("image/jpeg", file.getvalue())
        image = image.resize(_half(image.size), Image.Resampling.BICUBIC)


def heat_within(values: Map, scale: HeatScale, most: int) -> str:
    """A data URI of a map's heat to be laid over its picture: clear at the low end, in at most so many bytes.

    Empty where all of it is at the low end.
    """
    share = (values - np.float32(scale.low)) / np.float32(scale.high - scale.low)
    levels = np.rint(np.clip(share, 0, 1) * (_LEVELS - 1)).astype(np.uint8)
    if not levels.any():
        return ""
    image = Image.fromarray(levels)
    steps = np.linspace(0, 1, _LEVELS, dtype=np.float32)
    while True:
        drawn = image.copy()
        drawn.putpalette(colours(steps).astype(np.uint8).tobytes())
        file = io.BytesIO()
        drawn.save(file, "PNG", optimize=True, transparency=np.rint(_OPAQUE * steps).astype(np.uint8).tobytes())
        if file.tell() <= most or max(image.size) <= 16:
            return _uri("image/png", file.getvalue())
        image = image.resize(_half(image.size), Image.Resampling.BOX)


def _half(size: tuple[int, int]) -> tuple[int, int]:
    return max(size[0] // 2, 1), max(size[1] // 2, 1)


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
