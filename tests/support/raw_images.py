"""Image files of kinds that Pillow does not write, byte by byte, by the formats' rules."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt


def tiff(path: Path, samples: npt.NDArray[np.generic], tags: dict[int, int], bits: int = 16) -> Path:
    """A little-endian TIFF of one grey strip; 12-bit samples are packed, two in three bytes."""
    height, width = samples.shape
    if bits == 12:
        first, second = (samples.astype(int)[:, side::2] for side in (0, 1))
        data = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], -1).astype(np.uint8).tobytes()
    else:
        data = samples.astype(f"<u{bits // 8}" if samples.min() >= 0 else f"<i{bits // 8}").tobytes()
    every = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(data), **tags}
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(every.items()))
    header = b"II*\0" + struct.pack("<I", 8 + len(data))
    path.write_bytes(header + data + struct.pack("<H", len(every)) + fields + bytes(4))
    return path


def png(path: Path, samples: npt.NDArray[np.generic], depth: int, colour: int, transparent: tuple[int, ...]) -> Path:
    """A PNG file of one row, with a transparent colour if one is given."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    width = samples.shape[1]
    header = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    if depth < 8:
        bits = "".join(f"{int(value):0{depth}b}" for value in samples[0])
        row = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    else:
        row = samples.astype(f">u{depth // 8}").tobytes()
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header)]
    parts += [chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))] if transparent else []
    path.write_bytes(b"".join([*parts, chunk(b"IDAT", zlib.compress(b"\0" + row)), chunk(b"IEND", b"")]))
    return path
