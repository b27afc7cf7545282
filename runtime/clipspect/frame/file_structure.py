"""PNG, JPEG and TIFF files are looked at before they are decoded: whole, in order, and no work without end.

Pillow passes over a wrong checksum of pixels and over chunks in the wrong place, and walks the markers of a JPEG and
the tiles of a TIFF one by one, however many there are. What is refused here a good decoder refuses, or reads otherwise
than the next one.
"""

from __future__ import annotations

import re
import struct
import zlib

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_CHUNKS = 1 << 18  # 80 million pixels of 16-bit RGB in pieces of 2 KB
_ONCE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"eXIf"})
_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_PALETTE, _GREY, _RGB = 3, 0, 2
_TRANSPARENT_BYTES = {_GREY: 2, _RGB: 6}

_MOST_MARKERS = 10_000
_MOST_SCANS = 100  # a progressive JPEG has about 10; each goes over all pixels
_MOST_FILL = b"\xff" * (1 << 17)  # a segment has at most half of that
_START_OF_SCAN, _END = 0xDA, 0xD9
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)

_MOST_PIECES = 100_000  # strips, or tiles of 64 x 64 for 400 million pixels
_MOST_ENTRIES = 1000
_PIECES = frozenset({273, 279, 324, 325})  # where strips and tiles are, and how long


class StructureError(ValueError):
    """What is wrong with a file's structure, to be said after its name."""


def require_png(content: bytes) -> None:
    """Raises StructureError: chunks cut, out of place, repeated, unknown and critical, or with a wrong checksum."""
    seen: dict[bytes, bytes] = {}
    at, view = len(_PNG_SIGNATURE), memoryview(content)
    for _ in range(_MOST_CHUNKS):
        if at + 12 > len(content):
            raise StructureError("the file ends before its last chunk")
        size, kind = struct.unpack_from(">I4s", content, at)
        if size > len(content) - at - 12:
            raise StructureError("the file ends within a chunk")
        body = view[at + 8 : at + 8 + size]
        if zlib.crc32(view[at + 4 : at + 8 + size]) != int.from_bytes(view[at + 8 + size : at + 12 + size], "big"):
            raise StructureError(f"the chunk {kind!r} does not fit its checksum")
        if kind == b"IEND":
            return
        _require_place(kind, body, seen)
        if kind not in seen:
            seen[kind] = bytes(body) if kind in _ONCE else b""
        at += 12 + size
    raise StructureError(f"more than {_MOST_CHUNKS} chunks")


def _require_place(kind: bytes, body: memoryview, seen: dict[bytes, bytes]) -> None:
    if (kind == b"IHDR") != (not seen):
        raise StructureError("its header is not the first chunk, or is there twice")
    if kind in seen and kind in _ONCE:
        raise StructureError(f"the chunk {kind!r} is there twice")
    if kind not in _CRITICAL and not kind[0] & 0x20:
        raise StructureError(f"the chunk {kind!r} is needed, and unknown")
    if kind == b"IHDR":
        if len(body) != 13 or body[10] or body[11]:
            raise StructureError("its header is none of PNG")
        return
    colour = seen[b"IHDR"][9]
    if kind in (b"PLTE", b"tRNS") and b"IDAT" in seen:
        raise StructureError(f"the chunk {kind!r} comes after the pixels")
    if kind == b"PLTE" and not (3 <= len(body) <= 768 and len(body) % 3 == 0):
        raise StructureError(f"its palette has {len(body)} bytes")
    if colour == _PALETTE and kind in (b"IDAT", b"tRNS") and b"PLTE" not in seen:
        raise StructureError("its palette is missing, or comes too late")
    if kind == b"tRNS":
        wanted = _TRANSPARENT_BYTES.get(colour)
        most = len(seen.get(b"PLTE", b"")) // 3
        if (wanted is not None and len(body) != wanted) or (colour == _PALETTE and not 1 <= len(body) <= most):
            raise StructureError(f"its transparency has {len(body)} bytes")


def require_jpeg(content: bytes) -> None:
    """Raises StructureError: no scan of pixels, or more markers, fill bytes or scans than a picture has."""
    if _MOST_FILL in content:
        raise StructureError("a long run of fill bytes")
    if content.count(bytes([0xFF, _START_OF_SCAN])) > _MOST_SCANS:
        raise StructureError(f"more than {_MOST_SCANS} scans")
    at = 2
    for _ in range(_MOST_MARKERS):
        found = _MARKER.match(content, at)
        if found is None:
            raise StructureError("the file ends before its pixels, or a marker is missing")
        kind, at = found[1][0], found.end()
        if kind == _START_OF_SCAN:
            return
        if kind in _NO_LENGTH:
            continue
        if kind in (0, _END) or at + 2 > len(content):
            raise StructureError("the file ends before its pixels")
        (size,) = struct.unpack_from(">H", content, at)
        if size < 2:
            raise StructureError("a segment of no size")
        at += size
    raise StructureError(f"more than {_MOST_MARKERS} markers before its pixels")


def require_tiff(content: bytes) -> None:
    """Raises StructureError: a first directory that is cut, or has more entries, strips or tiles than a picture has."""
    order = "<" if content[:2] == b"II" else ">"
    big = content[2:4] in (b"+\0", b"\0+")
    first, entries, entry, step = ("Q", "Q", "HHQ", 20) if big else ("I", "H", "HHI", 12)
    try:
        (directory,) = struct.unpack_from(order + first, content, 8 if big else 4)
        (count,) = struct.unpack_from(order + entries, content, directory)
        if count > _MOST_ENTRIES:
            raise StructureError(f"a directory of {count} entries")
        for index in range(count):
            at = directory + struct.calcsize(order + entries) + index * step
            tag, _, values = struct.unpack_from(order + entry, content, at)
            if tag in _PIECES and values > _MOST_PIECES:
                raise StructureError(f"more than {_MOST_PIECES} strips or tiles")
    except (struct.error, OverflowError) as error:
        raise StructureError("the file ends before its directory does") from error
