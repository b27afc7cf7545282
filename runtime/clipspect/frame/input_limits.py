"""How large an image, or a bundle, may be, in one place. docs/limits-of-input.md says what each limit costs.

An environment variable sets each for a process and must be there before clipspect is imported.
"""

from __future__ import annotations

import os

from clipspect.base.errors import ClipspectError

_PILLOW_REFUSES = 178_956_970  # pixels; Pillow warns of a decompression bomb from half of that on


def _limit(name: str, default: int, most: int) -> int:
    given = os.environ.get(name, "")
    if not given:
        return default
    if not (given.isascii() and given.isdecimal() and len(given) < 20 and 1 <= int(given) <= most):
        raise ClipspectError(f"{name}={given!r:.80}: expected a whole number from 1 to {most}")
    return int(given)


# 8000 x 6000 is 48 million; the default is below the size at which Pillow warns
MAX_PIXELS = _limit("CLIPSPECT_MAX_PIXELS", 80_000_000, _PILLOW_REFUSES)
# A longer line of pixels is hardly a picture, and takes gigabytes to resize.
MAX_SIDE = _limit("CLIPSPECT_MAX_SIDE", 1_000_000, _PILLOW_REFUSES)
# The file is held while it is decoded: 80 million pixels of 16-bit grey are 160 MB, of RGBA 320 MB, uncompressed.
MAX_FILE_BYTES = _limit("CLIPSPECT_MAX_IMAGE_BYTES", 400_000_000, 1 << 32)
# All files of a bundle are hashed before anything else, at about 1.5 GB/s.
MAX_BUNDLE_BYTES = _limit("CLIPSPECT_MAX_BUNDLE_BYTES", 8 << 30, 1 << 40)
