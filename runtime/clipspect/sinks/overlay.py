"""Pictures for people: the frame beside its heat, the regions' contours, the verdict, and the score against its limits.

The scale of the colours is given, the same for every frame, so that a good part looks calm beside a bad one.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from clipspect.inspection.maps import Map
from clipspect.inspection.regions import Region
from clipspect.inspection.result import Result
from clipspect.sinks.outline import Mask, outline
from clipspect.sinks.overlay_caption import MIN_WIDTH, PAPER, draw_caption
from clipspect.sinks.overlay_colours import HeatScale, heat_image
from clipspect.sinks.overlay_reasons import mark_reasons
from clipspect.sinks.overlay_region import draw_judged

_OPAQUE = 0.8  # of the heat at the top of the scale
_SHORT, _LONG = 360, 800  # pixels: smaller pictures are enlarged to be readable, larger ones shrunk to be handy
WIDE = 2.0  # width by height from which the heat lies below the picture instead of beside it
_GAP = 4  # pixels between the two
_SMALLEST = 5  # pixels of a region's contour: what is smaller in the picture could not be seen
_ALPHA = np.rint(_OPAQUE * np.arange(256)).astype(np.uint8)  # of each of the 256 levels of heat
UNMARKED = frozenset({"pass", "invalid"})  # verdicts whose regions are not outlined


def render(image: Image.Image, result: Result, scale: HeatScale) -> Image.Image:
    """The overlay: the picture beside its heat, and below them verdict, score, limits, scale, and why it is invalid."""
    plain = shrunk(image, _display_size(image.size))
    heat = draw_heat(plain, result, scale)
    beside = plain.width < WIDE * plain.height
    across, down = (2 * plain.width + _GAP, plain.height) if beside else (plain.width, 2 * plain.height + _GAP)
    width = max(across, MIN_WIDTH)
    caption = draw_caption(width, result, scale)
    canvas = Image.new("RGB", (width, down + caption.height), PAPER)
    left = (width - across) // 2
    canvas.paste(plain, (left, 0))
    canvas.paste(heat, (left + plain.width + _GAP, 0) if beside else (left, plain.height + _GAP))
    canvas.paste(caption, (0, down))
    return canvas


def draw_heat(image: Image.Image, result: Result, scale: HeatScale, longest: int | None = None) -> Image.Image:
    """The image with its map as heat and, unless the part passes or the frame is invalid, its regions outlined.

    What is not judged lies in the dark. The longer side becomes `longest` pixels; without it, the image keeps its size.
    """
    picture = shrunk(image, fitting(image.size, longest)) if longest else image.convert("RGB")
    values = result.map_in(*picture.size)
    drawn = draw_judged(blend(picture, values, scale), result.area)
    if result.verdict in UNMARKED:
        return drawn
    marked = outline(drawn, _seen(values > result.map_limit, result.regions, result.size))
    return mark_reasons(marked, result)


def blend(picture: Image.Image, values: Map, scale: HeatScale) -> Image.Image:
    """An RGB picture under the heat of a map of its size: nothing at the low end, so that a good part stays clean."""
    heat = (values - np.float32(scale.low)) * np.float32(255 / (scale.high - scale.low))
    level = np.rint(np.clip(heat, 0, 255, out=heat), out=heat).astype(np.uint8)
    return Image.composite(heat_image(level), picture, Image.fromarray(_ALPHA[level]))


def shrunk(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """An image of any of the modes that frames have as RGB of that size."""
    # the gap saves most of the time for a large frame, and nobody sees it
    resized = image if image.size == size else image.resize(size, Image.Resampling.BICUBIC, reducing_gap=1.5)
    return resized.convert("RGB")


def _seen(mask: Mask, regions: tuple[Region, ...], size: tuple[int, int]) -> Mask:
    """The mask with what became too small to be seen, or vanished, when the frame was shrunk."""
    height, width = mask.shape
    across, down = width / size[0], height / size[1]
    small = [region for region in regions if max(region.width * across, region.height * down) < _SMALLEST]
    if not small:
        return mask
    mask = mask.copy()
    for region in small:
        x, y = int((region.x + region.width / 2) * across), int((region.y + region.height / 2) * down)
        around = _SMALLEST // 2
        mask[max(y - around, 0) : y + around + 1, max(x - around, 0) : x + around + 1] = True
    return mask


def _display_size(size: tuple[int, int]) -> tuple[int, int]:
    return fitting(size, min(max(*size, _SHORT), _LONG))


def fitting(size: tuple[int, int], longest: int) -> tuple[int, int]:
    side = max(size)
    return max(1, round(size[0] * longest / side)), max(1, round(size[1] * longest / side))
