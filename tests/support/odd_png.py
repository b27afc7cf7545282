"""Odd PNG files, chunk by chunk: what cameras and converters write, and what they should not."""

from __future__ import annotations

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TURN = {"little": (b"II*\0", "<"), "big": (b"MM\0*", ">")}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """A chunk of a PNG file with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def exif(value: int, order: str = "little", kind: int = 3, count: int = 1, ifd: int = 0) -> bytes:
    """A TIFF header with the orientation in its first directory, or its second."""
    magic, sign = TURN[order]
    entry = struct.pack(f"{sign}HHI", 0x0112, kind, count) + (
        struct.pack(f"{sign}HH", value, 0) if kind == 3 else struct.pack(f"{sign}I", value)
    )
    directory = struct.pack(f"{sign}H", 1) + entry
    if ifd == 0:
        return magic + struct.pack(f"{sign}I", 8) + directory + bytes(4)
    return magic + struct.pack(f"{sign}IHI", 8, 0, 14) + directory + bytes(4)


def noise(width: int, height: int, depth: int, colour: int, seed: int = 0) -> bytes:
    """The filtered rows of a picture of noise."""
    bits = width * depth * _CHANNELS[colour]
    rows = np.random.default_rng(seed).integers(0, 256, (height, -(-bits // 8)), np.uint8)
    return b"".join(b"\0" + row.tobytes() for row in rows)


def assemble(
    depth: int,
    colour: int,
    before: bytes = b"",
    rows: bytes | None = None,
    after: bytes = b"",
    size: tuple[int, int] = (19, 11),
) -> bytes:
    """A PNG file of noise; `before` and `after` are the chunks beside its pixels."""
    rows = noise(19, 11, depth, colour) if rows is None else rows
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 19, 11, depth, colour, 0, 0, 0))
    return SIGNATURE + header + before + chunk(b"IDAT", zlib.compress(rows)) + after + chunk(b"IEND")


_PALETTE = chunk(b"PLTE", np.random.default_rng(1).integers(0, 256, 768, np.uint8).tobytes())


def _few(depth: int) -> bytes:
    return chunk(b"PLTE", _PALETTE[8 : 8 + 3 * (1 << depth)])


def odd_pngs() -> dict[str, bytes]:
    """By name."""
    return {**_of_colours(), **_of_chunks(), **_of_rows(), **_of_headers()}


def _of_colours() -> dict[str, bytes]:
    files = {
        f"depth{depth}-colour{colour}": assemble(depth, colour)
        for depth, colour in [
            (1, 0),
            (2, 0),
            (4, 0),
            (8, 0),
            (16, 0),
            (8, 2),
            (16, 2),
            (8, 4),
            (16, 4),
            (8, 6),
            (16, 6),
        ]
    }
    files |= {f"palette{depth}": assemble(depth, 3, _few(depth)) for depth in (1, 2, 4, 8)}
    files |= {
        f"palette{depth}-alpha": assemble(depth, 3, _few(depth) + chunk(b"tRNS", bytes([0, 128])))
        for depth in (1, 2, 4, 8)
    }
    files |= {
        f"palette{depth}-binary-alpha": assemble(depth, 3, _few(depth) + chunk(b"tRNS", bytes([255, 0])))
        for depth in (1, 2, 4, 8)
    }
    files |= {
        f"grey{depth}-clear": assemble(depth, 0, chunk(b"tRNS", struct.pack(">H", 1))) for depth in (1, 2, 4, 8, 16)
    }
    files["grey8-clear-too-large"] = assemble(8, 0, chunk(b"tRNS", struct.pack(">H", 300)))
    files["grey4-clear-too-large"] = assemble(4, 0, chunk(b"tRNS", struct.pack(">H", 19)))
    files["rgb8-clear"] = assemble(8, 2, chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3)))
    files["rgb8-clear-too-large"] = assemble(8, 2, chunk(b"tRNS", struct.pack(">HHH", 257, 258, 259)))
    files["rgb16-clear"] = assemble(16, 2, chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3)))
    files["rgba-with-trns"] = assemble(8, 6, chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3)))
    files["la-with-trns"] = assemble(8, 4, chunk(b"tRNS", struct.pack(">H", 1)))
    files["trns-empty"] = assemble(8, 0, chunk(b"tRNS"))
    files["trns-odd"] = assemble(8, 0, chunk(b"tRNS", b"\1"))
    files["trns-before-plte"] = assemble(8, 3, chunk(b"tRNS", bytes([0, 128])) + _PALETTE)
    files["trns-of-a-palette-too-long"] = assemble(2, 3, _few(2) + chunk(b"tRNS", bytes(range(200))))
    files["trns-after"] = assemble(8, 0, after=chunk(b"tRNS", struct.pack(">H", 7)))
    files["trns-twice"] = assemble(8, 0, chunk(b"tRNS", struct.pack(">H", 7)) + chunk(b"tRNS", struct.pack(">H", 9)))
    files["grey16-trns-after"] = assemble(16, 0, after=chunk(b"tRNS", struct.pack(">H", 7)))
    files["palette-short"] = assemble(8, 3, chunk(b"PLTE", _PALETTE[8:38]))
    files["palette-missing"] = assemble(8, 3)
    files["palette-empty"] = assemble(8, 3, chunk(b"PLTE"))
    files["palette-of-grey"] = assemble(8, 0, _PALETTE)
    files["palette-twice"] = assemble(8, 3, _PALETTE + _few(4))
    files["palette-not-thirds"] = assemble(8, 3, chunk(b"PLTE", bytes(100)))
    files["palette-too-long-for-depth"] = assemble(2, 3, _PALETTE)
    files["suggested-palette"] = assemble(8, 2, _PALETTE)
    return files


def _of_chunks() -> dict[str, bytes]:
    files = {}
    for name, extra in {
        "gamma": chunk(b"gAMA", struct.pack(">I", 100000)),
        "srgb": chunk(b"sRGB", b"\0"),
        "sbit": chunk(b"sBIT", b"\4\4\4"),
        "background": chunk(b"bKGD", struct.pack(">HHH", 9, 9, 9)),
        "cicp": chunk(b"cICP", bytes([9, 16, 0, 1])),
        "profile-damaged": chunk(b"iCCP", b"x\0\0notzlib"),
        "profile": chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(200))),
        "text-bomb": chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(50_000_000))),
        "profile-bomb": chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(80_000_000))),
        "xmp-turned": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        "raw-profile": chunk(b"tEXt", b"Raw profile type exif\0\nexif\n      26\n" + exif(6).hex().encode() + b"\n"),
        "raw-profile-no-hex": chunk(b"tEXt", b"Raw profile type exif\0\nexif\n      26\nzz\n"),
        "critical-unknown": chunk(b"ABCD", b"x"),
        "animated": chunk(b"acTL", struct.pack(">II", 1, 0))
        + chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 19, 11, 0, 0, 1, 10, 0, 0)),
        "animated-default-hidden": chunk(b"acTL", struct.pack(">II", 1, 0)),
        "exif-damaged": chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"),
        "exif-empty": chunk(b"eXIf"),
        "exif-with-prefix": chunk(b"eXIf", b"Exif\0\0" + exif(6)),
        "exif-twice": chunk(b"eXIf", exif(3)) + chunk(b"eXIf", exif(6)),
        "exif-second-directory": chunk(b"eXIf", exif(6, ifd=1)),
        "exif-count2": chunk(b"eXIf", exif(6, count=2)),
        "exif-count0": chunk(b"eXIf", exif(6, count=0)),
        "exif-byte": chunk(b"eXIf", exif(6, kind=1)),
        "exif-signed": chunk(b"eXIf", exif(6, kind=8)),
        "exif-rational": chunk(b"eXIf", exif(6, kind=5)),
        "crc-ancillary": chunk(b"tEXt", b"a\0b")[:-1] + b"\0",
        "crc-exif": chunk(b"eXIf", exif(6))[:-1] + b"\0",
        "cgbi": b"",
    }.items():
        files[name] = assemble(8, 2, extra)
    for order in TURN:
        for kind in (3, 4):
            files |= {
                f"exif-{order}-{kind}-{value}": assemble(8, 2, chunk(b"eXIf", exif(value, order, kind)))
                for value in range(10)
            }
    files["exif-after"] = assemble(8, 2, after=chunk(b"eXIf", exif(6)))
    files["exif-both"] = assemble(8, 2, chunk(b"eXIf", exif(3)), after=chunk(b"eXIf", exif(6)))
    files["exif-grey16"] = assemble(16, 0, chunk(b"eXIf", exif(6)))
    files["exif-clear"] = assemble(8, 0, chunk(b"eXIf", exif(6)) + chunk(b"tRNS", struct.pack(">H", 7)))
    return files


def _of_rows() -> dict[str, bytes]:
    files = {}
    rows = noise(19, 11, 8, 2)
    files["rows-short"] = assemble(8, 2, rows=rows[:-30])
    files["rows-long"] = assemble(8, 2, rows=rows + bytes(500))
    files["rows-none"] = assemble(8, 2, rows=b"")
    files["filter-unknown"] = assemble(8, 2, rows=b"\7" + rows[1:])
    plain = assemble(8, 2)
    files["trailing"] = plain + b"trailing" * 100
    files["iend-missing"] = plain[:-12]
    files["two-files"] = plain + assemble(8, 0)
    at = plain.index(b"IDAT")
    size = struct.unpack(">I", plain[at - 4 : at])[0]
    data = plain[at + 4 : at + 4 + size]
    files["idat-crc"] = plain[: at + 4 + size] + b"\0\0\0\0" + plain[at + 8 + size :]
    files["idat-adler"] = plain[: at - 4] + chunk(b"IDAT", data[:-4] + b"\0\0\0\0") + chunk(b"IEND")
    files["idat-no-adler"] = plain[: at - 4] + chunk(b"IDAT", data[:-4]) + chunk(b"IEND")
    files["idat-split"] = (
        plain[: at - 4] + b"".join(chunk(b"IDAT", data[i : i + 7]) for i in range(0, size, 7)) + chunk(b"IEND")
    )
    start, end = plain[: at - 4], chunk(b"IEND")
    files["idat-empty-between"] = start + chunk(b"IDAT", data[:20]) + chunk(b"IDAT") + chunk(b"IDAT", data[20:]) + end
    files["idat-parted-by-text"] = (
        plain[: at - 4]
        + chunk(b"IDAT", data[:20])
        + chunk(b"tEXt", b"a\0b")
        + chunk(b"IDAT", data[20:])
        + chunk(b"IEND")
    )
    files["idat-missing"] = plain[: at - 4] + chunk(b"IEND")
    files["idat-trailing-zlib"] = plain[: at - 4] + chunk(b"IDAT", data + b"x" * 300) + chunk(b"IEND")
    return files


def _of_headers() -> dict[str, bytes]:
    files, plain = {}, assemble(8, 2)
    files["header-twice"] = plain[:33] + plain[8:]
    files["header-not-first"] = SIGNATURE + chunk(b"tEXt", b"a\0b") + plain[8:]
    files["header-crc"] = plain[:29] + b"\0\0\0\0" + plain[33:]
    for name, header in {
        "depth3": (19, 11, 3, 0, 0, 0, 0),
        "depth16-palette": (19, 11, 16, 3, 0, 0, 0),
        "colour5": (19, 11, 8, 5, 0, 0, 0),
        "compression1": (19, 11, 8, 2, 1, 0, 0),
        "filter64": (19, 11, 8, 2, 0, 64, 0),
        "interlace2": (19, 11, 8, 2, 0, 0, 2),
        "filter1": (19, 11, 8, 2, 0, 1, 0),
        "width0": (0, 11, 8, 2, 0, 0, 0),
        "height0": (19, 0, 8, 2, 0, 0, 0),
        "negative": (1 << 31, 11, 8, 2, 0, 0, 0),
        "bomb": (60000, 60000, 8, 2, 0, 0, 0),
    }.items():
        files[f"header-{name}"] = SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", *header)) + plain[33:]
    files["length-negative"] = plain[:33] + b"\xff\xff\xff\xfftEXt" + plain[33:]
    files["mng"] = b"\x8aMNG\r\n\x1a\n" + plain[8:]
    passes = b"".join(
        noise(w, h, 8, 2, w * 31 + h) for w, h in [(3, 2), (2, 2), (5, 1), (5, 3), (10, 3), (9, 6), (19, 5)]
    )
    files["interlaced"] = (
        SIGNATURE
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 19, 11, 8, 2, 0, 0, 1))
        + chunk(b"IDAT", zlib.compress(passes))
        + chunk(b"IEND")
    )
    files |= {f"cut-{part}": plain[: len(plain) * part // 20] for part in range(20)}
    return files
