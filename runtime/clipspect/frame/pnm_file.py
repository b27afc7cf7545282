"""Binary PGM and PPM files (P5, P6) of every largest value, 12-bit cameras' 4095 among them, scaled to 8 bits.

Pillow reads values other than 255 and 65535 one by one, in Python: 40 s for 80 million pixels.
"""

from __future__ import annotations

import re

import numpy as np
from PIL import Image

_HEADER = re.compile(rb"P([56])" + rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,10})" * 3 + rb"\s")
_SPAN = 1 << 12  # a header, with its comments, is shorter
_STRIP = 1 << 22


class PnmError(ValueError):
    """What is wrong with the file, to be said after its name."""


def header_of(content: bytes) -> tuple[int, int, int, int, int]:
    """Channels, width, height, largest value, and where the pixels start. Raises PnmError."""
    found = _HEADER.match(content[:_SPAN])
    if found is None:
        raise PnmError("its header is none of PGM or PPM")
    width, height, largest = (int(found[index]) for index in (2, 3, 4))
    if not 1 <= largest <= 65535:
        raise PnmError(f"its largest value is {largest}, expected 1 to 65535")
    return (1 if found[1] == b"5" else 3), width, height, largest, found.end()


def decode_pnm(content: bytes) -> Image.Image:
    """Mode L or RGB: 0 to the largest value becomes 0 to 255, rounded. The size is the caller's to check.

    Raises PnmError for a file that ends early, and for values beyond the largest.
    """
    channels, width, height, largest, start = header_of(content)
    kind, count = np.dtype(">u1" if largest < 256 else ">u2"), width * height * channels
    if len(content) - start < count * kind.itemsize:
        raise PnmError("the file ends before its pixels do")
    samples = np.frombuffer(content, kind, count, start)
    scaled = np.empty(count, np.uint8)
    table = ((np.arange(largest + 1, dtype=np.int64) * 255 + largest // 2) // largest).astype(np.uint8)
    for first in range(0, count, _STRIP):
        strip = samples[first : first + _STRIP]
        if strip.max() > largest:
            raise PnmError(f"a value of {strip.max()} is beyond its largest, {largest}")
        scaled[first : first + _STRIP] = table[strip]
    return Image.fromarray(scaled.reshape((height, width) if channels == 1 else (height, width, 3)))
