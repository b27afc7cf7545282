"""Which way up an image is shown: the orientation that EXIF's first directory says, as browsers read it, and C++.

Pillow's own reading goes further, and other programs do not follow: to XMP, to ImageMagick's text chunks, to signed
numbers and to the first of several.
"""

from __future__ import annotations

import struct

from PIL import Image

_ORIENTATION, _SHORT, _LONG = 0x0112, 3, 4
_PREFIX = b"Exif\0\0"
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation_in_file(image: Image.Image) -> int:
    """1 to 8, of an image that was opened from a file and loaded; 1 where there is none, or it is damaged."""
    if (tags := getattr(image, "tag_v2", None)) is not None:  # a TIFF file
        value = tags.get(_ORIENTATION, 1)
        return value if isinstance(value, int) and value in _TURNS else 1
    block = image.info.get("exif", b"")
    return exif_orientation(block) if isinstance(block, bytes) else 1


def exif_orientation(block: bytes) -> int:
    """1 to 8, of an EXIF block with or without its prefix; 1 where there is none, or it is damaged."""
    block = block[len(_PREFIX) :] if block.startswith(_PREFIX) else block
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return 1
    found = 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", block, 4)
        (entries,) = struct.unpack_from(f"{order}H", block, directory)
        for index in range(entries):
            at = directory + 2 + 12 * index
            tag, kind, count = struct.unpack_from(f"{order}HHI", block, at)
            if tag == _ORIENTATION and kind in (_SHORT, _LONG) and count == 1:
                (found,) = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", block, at + 8)
    except struct.error:  # the block ends before its directory does
        pass
    return found if found in _TURNS else 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """The image as it is shown; itself where it stands upright."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image
