"""Pixels of every depth become eight bits of grey or RGB, the way a viewer would show them.

Deep grey is scaled from its full range, never stretched by what one image holds. Transparency is laid over white. What
cannot be shown right is refused with the reason. Large images are converted in strips: no second copy of all pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.base.errors import ImageError

_BACKGROUND = (255, 255, 255)
_WITH_ALPHA = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})
_SEVERAL_CHANNELS = frozenset({"RGB", "RGBA", "RGBX", "RGBa"})
_DEEP_GREY = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_FULL_SCALE = 65535
_STRIP_PIXELS = 1 << 22
_PHOTOMETRIC, _BITS, _MAX_SAMPLE, _SAMPLE_FORMAT, _COLOUR_MAP = 262, 258, 281, 339, 320  # TIFF's tags
_WHITE_IS_ZERO, _UNSIGNED = 0, 1


@dataclass(frozen=True)
class Stored:
    """How a file holds its pixels, as far as Pillow's mode does not say it. Read before they are decoded."""

    full_scale: int = _FULL_SCALE  # the value of white in deep grey
    inverted: bool = False  # 0 is white, in deep grey; in 8 bits Pillow turns it round itself
    sample_bits: int = 8  # of a channel where there is a transparent colour
    signed: bool = False

    @classmethod
    def of(cls, image: Image.Image, name: str) -> Stored:
        """Raises ImageError, which names the image, for a range that cannot be known."""
        tags = getattr(image, "tag_v2", None)
        if tags is not None:
            _require_known_range(image, tags, name)
            if image.mode in _DEEP_GREY:
                return cls._of_deep_tiff(tags, name)
        return cls(sample_bits=_sample_bits(image)) if image.format == "PNG" else cls()

    @classmethod
    def _of_deep_tiff(cls, tags: object, name: str) -> Stored:
        def first(tag: int, default: int) -> int:
            value = tags.get(tag, default)  # type: ignore[attr-defined]
            return int(value[0] if isinstance(value, tuple) else value)

        bits = first(_BITS, 16)
        full_scale = (1 << min(bits, 16)) - 1
        largest = first(_MAX_SAMPLE, full_scale)
        if largest <= full_scale and largest & (largest + 1) == 0 and largest > 0:
            full_scale = largest
        elif largest < full_scale:
            raise ImageError(
                f"{name}: TIFF's MaxSampleValue is {largest}, which is no full scale but perhaps this image's own "
                "maximum: save it as 8-bit or 16-bit"
            )
        signed = first(_SAMPLE_FORMAT, _UNSIGNED) != _UNSIGNED and bits <= 16  # of 32 bits the values tell
        return cls(full_scale, first(_PHOTOMETRIC, 1) == _WHITE_IS_ZERO, signed=signed)


def eight_bits(image: Image.Image, stored: Stored, name: str) -> Image.Image:
    """A decoded image as mode RGB or L; itself where it is one already. Raises ImageError that names it."""
    if image.mode in _DEEP_GREY:
        return _from_deep_grey(image, stored, name)
    if image.mode == "F":
        raise ImageError(f"{name}: floating-point pixels have no known range: save it as 8-bit or 16-bit")
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        return _over_white(_with_alpha(image, stored, name), name)
    return image if image.mode in {"RGB", "L"} else image.convert("RGB")


def _require_known_range(image: Image.Image, tags: Any, name: str) -> None:
    """Refuse TIFF's 8-bit forms that Pillow shows in a range other than the file's."""

    def values(tag: int) -> tuple[int, ...]:
        found = tags.get(tag, ())
        return found if isinstance(found, tuple) else (found,)

    if image.mode not in _DEEP_GREY and image.mode != "F" and set(values(_SAMPLE_FORMAT)) - {_UNSIGNED}:
        raise ImageError(f"{name}: signed pixels have no known range: save it without sign")
    largest = set(values(_MAX_SAMPLE))
    if image.mode in _SEVERAL_CHANNELS and set(values(_BITS)) == {16} and largest - {_FULL_SCALE}:
        raise ImageError(f"{name}: TIFF's MaxSampleValue is {max(largest)} of 16-bit colours: save it as 8-bit")
    if image.mode in {"P", "PA"} and 0 < max(values(_COLOUR_MAP), default=0) < 256:
        raise ImageError(f"{name}: a palette of 8 bits, where TIFF has 16: save it as RGB")


def _with_alpha(image: Image.Image, stored: Stored, name: str) -> Image.Image:
    """The image with its transparent colour in the form that Pillow compares with its 8-bit pixels."""
    if image.mode == "L" and "transparency" in image.info and stored.sample_bits <= 8:
        largest = (1 << stored.sample_bits) - 1  # of the 16 bits that the file has, the lower ones count
        image = image.copy()
        image.info["transparency"] = (image.info["transparency"] & largest) * 255 // largest
    elif image.mode == "RGB" and stored.sample_bits > 8:
        raise ImageError(f"{name}: a transparent colour of 16 bits is lost in 8: save it with an alpha channel instead")
    return image


def _over_white(image: Image.Image, name: str) -> Image.Image:
    opaque: Image.Image | None = None  # white until something is seen: nothing is made for a picture of nothing
    for top, bottom in _strips(image.size):
        strip = image.crop((0, top, image.width, bottom))
        strip.info = image.info  # Pillow's crop keeps the transparent colour, older ones do not
        rgba = strip.convert("RGBA")
        alpha = rgba.getchannel("A")
        if alpha.getextrema() != (0, 0):
            opaque = opaque or Image.new("RGB", image.size, _BACKGROUND)
            opaque.paste(rgba, (0, top), mask=alpha)
    if opaque is None:
        raise ImageError(f"{name}: every pixel is wholly transparent: save it without transparency")
    return opaque


def _from_deep_grey(image: Image.Image, stored: Stored, name: str) -> Image.Image:
    """Grey of up to 16 bits to L: 0 to full scale becomes 0 to 255, rounded. (PIL's own conversion clips at 255.)"""
    if stored.signed:
        raise ImageError(f"{name}: signed pixels have no known range: save it as 8-bit or 16-bit without sign")
    scale = stored.full_scale
    table = ((np.arange(scale + 1, dtype=np.int64) * 255 + scale // 2) // scale).astype(np.uint8)
    if stored.inverted:
        table = table[::-1]
    grey = np.empty((image.height, image.width), np.uint8)
    clear = image.info.get("transparency")  # a value of 16 bits
    for top, bottom in _strips(image.size):
        deep = np.asarray(image.crop((0, top, image.width, bottom)))
        _require_range(deep, scale, name)
        grey[top:bottom] = table[deep]
        if isinstance(clear, int):
            grey[top:bottom][deep == clear] = _BACKGROUND[0]
    return Image.fromarray(grey)


def _require_range(deep: npt.NDArray[np.generic], scale: int, name: str) -> None:
    lowest, highest = deep.min(), deep.max()
    if lowest < 0 or highest > scale:
        raise ImageError(
            f"{name}: pixels from {lowest} to {highest} are beyond 0 to {scale}, and have no known range: "
            "save it as 8-bit or 16-bit"
        )


def _strips(size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """First and last row (exclusive) of strips of some million pixels."""
    width, height = size
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def _sample_bits(image: Image.Image) -> int:
    """Bits of a channel in a PNG file, by the name of its raw mode: "L;4", "RGB;16B"."""
    raw = image.tile[0][3] if getattr(image, "tile", None) else ""  # type: ignore[attr-defined]
    raw = raw[0] if isinstance(raw, tuple) else raw
    digits = "".join(filter(str.isdigit, str(raw).partition(";")[2]))
    return int(digits) if digits else 8
