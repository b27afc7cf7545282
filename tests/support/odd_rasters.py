"""Odd TIFF, BMP and PNM files, field by field, each of one row or two; and files that are no images at all."""

from __future__ import annotations

import struct

_CODES = {1: "B", 3: "H", 4: "I"}
_DEEP = struct.pack("<4H", 0, 1000, 30000, 65535)
_RAMP = b"\0\x40\x80\xff"
_GREYS = b"".join(bytes([value] * 3 + [0]) for value in range(256))


def tiff(
    tags: dict[int, tuple[int, list[int]]] | None = None,
    data: bytes = _RAMP,
    bits: tuple[int, ...] = (8,),
    height: int = 1,
    order: str = "<",
) -> bytes:
    """A TIFF file of one strip, four pixels wide; tags as (type, values)."""
    every: dict[int, tuple[int, list[int]]] = {
        256: (3, [4]),
        257: (3, [height]),
        258: (3, list(bits)),
        259: (3, [1]),
        262: (3, [1]),
        273: (4, [8]),
        277: (3, [len(bits)]),
        278: (3, [height]),
        279: (4, [len(data)]),
        **(tags or {}),
    }
    directory = 8 + len(data)
    free = directory + 2 + 12 * len(every) + 4
    entries = tail = b""
    for tag, (kind, values) in sorted(every.items()):
        raw = struct.pack(f"{order}{len(values)}{_CODES[kind]}", *values)
        if len(raw) > 4:
            raw, tail = struct.pack(f"{order}I", free + len(tail)), tail + raw
        entries += struct.pack(f"{order}HHI", tag, kind, len(values)) + raw.ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    head = magic + struct.pack(f"{order}I", directory) + data + struct.pack(f"{order}H", len(every))
    return head + entries + bytes(4) + tail


def bmp(
    bits: int, data: bytes, palette: bytes = b"", masks: tuple[int, ...] = (), compression: int = 0, height: int = 1
) -> bytes:
    """A BMP file, four pixels wide."""
    compression = 3 if masks else compression
    fields = 40, 4, height, 1, bits, compression, len(data), 0, 0, len(palette) // 4, 0
    header = struct.pack("<IiiHHIIiiII", *fields) + struct.pack(f"<{len(masks)}I", *masks) + palette
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(data), 0, 0, 14 + len(header)) + header + data


def jpeg2000(width: int, height: int) -> bytes:
    """The header of a codestream of grey."""
    sides = struct.pack(">8I", width, height, 0, 0, width, height, 0, 0)
    return b"\xff\x4f\xff\x51" + struct.pack(">HH", 41, 0) + sides + b"\0\1\7\1\1"


def shown() -> dict[str, tuple[bytes, list[int]]]:
    """Files that are read, and the grey, or the red, of their first row."""
    ramp, turned = [0, 64, 128, 255], [255, 191, 127, 0]
    rgb = bytes([255, 0, 0, 0, 255, 0, 7, 0, 255, 9, 9, 9])
    clear = bytes([255, 0, 0, 255, 0, 255, 0, 128, 7, 0, 255, 0, 9, 9, 9, 255])
    colours, over_white = {262: (3, [2])}, [255, 127, 255, 9]
    two = bytes(range(8))
    return {
        "tiff-8": (tiff(), ramp),
        "tiff-8-white-is-zero": (tiff({262: (3, [0])}), turned),
        "tiff-1-white-is-zero": (tiff({262: (3, [0])}, b"\x50", (1,)), [255, 0, 255, 0]),
        "tiff-2": (tiff(None, b"\x1b", (2,)), [0, 85, 170, 255]),
        "tiff-4-white-is-zero": (tiff({262: (3, [0])}, b"\x05\xaf", (4,)), [255, 170, 85, 0]),
        "tiff-4-largest-said": (tiff({281: (3, [15])}, b"\x05\xaf", (4,)), [0, 85, 170, 255]),
        "tiff-16": (tiff(None, _DEEP, (16,)), [0, 4, 117, 255]),
        "tiff-16-big-endian": (
            tiff(None, struct.pack(">4H", 0, 1000, 30000, 65535), (16,), order=">"),
            [0, 4, 117, 255],
        ),
        "tiff-32-within-16": (tiff(None, struct.pack("<4I", 0, 1000, 30000, 65535), (32,)), [0, 4, 117, 255]),
        "tiff-rgb": (tiff(colours, rgb, (8, 8, 8)), [255, 0, 7, 9]),
        "tiff-rgb-16": (tiff(colours, struct.pack("<12H", *(v * 257 for v in rgb)), (16,) * 3), [255, 0, 7, 9]),
        "tiff-rgbx": (tiff({**colours, 338: (3, [0])}, clear, (8,) * 4), [255, 0, 7, 9]),
        "tiff-rgba": (tiff({**colours, 338: (3, [2])}, clear, (8,) * 4), over_white),
        "tiff-fill-order": (tiff({266: (3, [2])}), [0, 2, 1, 255]),
        "tiff-turned": (tiff({274: (3, [3])}, two, height=2), [7, 6, 5, 4]),
        "tiff-turned-on-its-side": (tiff({274: (3, [6])}, two, height=2), [4, 0]),
        "tiff-turned-by-9": (tiff({274: (3, [9])}, two, height=2), [0, 1, 2, 3]),
        "tiff-16-turned": (tiff({274: (3, [3])}, _DEEP, (16,)), [255, 117, 4, 0]),
        "bmp-8": (bmp(8, _RAMP, _GREYS), ramp),
        "bmp-8-palette-turned": (bmp(8, _RAMP, b"".join(_GREYS[i : i + 4] for i in range(1020, -1, -4))), turned),
        "bmp-1-white-first": (bmp(1, b"\x50\0\0\0", b"\xff\xff\xff\0\0\0\0\0"), [255, 0, 255, 0]),
        "bmp-24": (bmp(24, rgb), [0, 0, 255, 9]),
        "bmp-24-top-down": (bmp(24, rgb + bytes(12), height=-2), [0, 0, 255, 9]),
        "bmp-24-bottom-up": (bmp(24, rgb + bytes(12), height=2), [0, 0, 0, 0]),
        "bmp-32-unused": (bmp(32, bytes([1, 2, 3, 0] * 4)), [3] * 4),
        "bmp-555": (bmp(16, struct.pack("<4H", 0x7FFF, 0x7C00, 0x3E0, 0x1F)), [255, 255, 0, 0]),
        "bmp-565": (
            bmp(16, struct.pack("<4H", 0xFFFF, 0xF800, 0x7E0, 0x1F), masks=(0xF800, 0x7E0, 0x1F)),
            [255, 255, 0, 0],
        ),
        "bmp-rle8": (bmp(8, b"\4\x80\0\1", _GREYS, compression=1), [128] * 4),
        "bmp-rle4": (bmp(4, b"\4\x12\0\1", _GREYS[:64], compression=2), [1, 2, 1, 2]),
        "pgm-1000": (b"P5 4 1 1000\n" + struct.pack(">4H", 0, 500, 1000, 10), [0, 128, 255, 3]),
        "pgm-3": (b"P5 4 1 3\n\0\1\2\3", [0, 85, 170, 255]),
        "pgm-comments": (b"P5#a\n4 #b\n1\n255\n" + _RAMP, ramp),
        "ppm-16": (b"P6 2 1 65535\n" + struct.pack(">6H", 0, 9, 9, 65535, 9, 9), [0, 255]),
        "pbm": (b"P4 4 1\n\x50", [255, 0, 255, 0]),
        "pgm-as-text": (b"P2 4 1 1000\n0 1000 500 3", [0, 255, 128, 1]),
    }


def refused() -> dict[str, tuple[bytes, str]]:
    """Files that are refused, and the reason."""
    rgb = bytes(range(12))
    colours = {262: (3, [2])}
    dear = "more than 20,000,000 pixels of"
    damaged, other, large = "damaged or cut short", "not an image of a raster format", "more than 80,000,000 pixels"
    files = {
        "tiff-8-signed": (tiff({339: (3, [2])}), "signed pixels"),
        "tiff-16-largest-of-its-own": (tiff({281: (3, [3127])}, _DEEP, (16,)), "MaxSampleValue is 3127"),
        "tiff-rgb-16-of-12-bits": (
            tiff({**colours, 281: (3, [4095] * 3)}, bytes(24), (16,) * 3),
            "MaxSampleValue is 4095",
        ),
        "tiff-32-beyond": (tiff(None, struct.pack("<4I", 0, 1, 2, 70000), (32,)), "beyond 0 to 65535"),
        "tiff-palette-of-8-bits": (tiff({262: (3, [3]), 320: (3, [*range(256)] * 3)}), "a palette of 8 bits"),
        "tiff-float": (tiff({339: (3, [3])}, bytes(16), (32,)), "floating-point pixels"),
        "tiff-clear": (tiff({**colours, 338: (3, [2])}, bytes(16), (8,) * 4), "wholly transparent"),
        "tiff-bomb": (tiff({256: (4, [60000]), 257: (4, [60000])}), large),
        "tiff-holes": (tiff({256: (4, [8000]), 257: (4, [10000])}), damaged),
        "tiff-tiles-of-a-pixel": (tiff({322: (3, [1]), 323: (3, [1]), 324: (4, [8] * 200_000)}), "strips or tiles"),
        "tiff-strips-claimed": (tiff()[:-60] + bytes(60), damaged),
        "tiff-compression-99": (tiff({259: (3, [99])}), damaged),
        "tiff-strip-beyond": (tiff({273: (4, [1 << 31])}), damaged),
        "tiff-rows-0": (tiff({278: (3, [0])}), damaged),
        "tiff-width-0": (tiff({256: (3, [0])}), damaged),
        "tiff-samples-0": (tiff({277: (3, [0])}), damaged),
        "tiff-samples-65535": (tiff({277: (3, [65535])}), damaged),
        "tiff-directory-in-itself": (b"II*\0\x08\0\0\0\0\0\x08\0\0\0", damaged),
        "tiff-directory-beyond": (b"II*\0\xff\xff\xff\x7f", damaged),
        "tiff-directory-huge": (b"II*\0\x08\0\0\0\xff\xff" + bytes(800_000), "a directory of 65535 entries"),
        "bigtiff-directory-huge": (b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1 << 60), "a directory of"),
        "bigtiff-directory-beyond": (b"MM\0+\0\x08\0\0" + struct.pack(">Q", (1 << 64) - 1), damaged),
        "bmp-444": (bmp(16, bytes(8), masks=(0xF00, 0xF0, 0xF)), damaged),
        "bmp-jpeg": (bmp(24, b"\xff\xd8\xff", compression=4), damaged),
        "bmp-cut": (bmp(24, rgb)[:-3], damaged),
        "bmp-rle-ends-early": (bmp(8, b"\2\x80\0\1", _GREYS, compression=1), damaged),
        "bmp-pixels-beyond": (bmp(24, rgb)[:10] + b"\xff\xff\xff\x7f" + bmp(24, rgb)[14:], damaged),
        "bmp-height-0": (bmp(24, rgb, height=0), damaged),
        "bmp-lowest-height": (bmp(24, rgb, height=-(1 << 31)), large),
        "pgm-beyond": (b"P5 4 1 1000\n" + struct.pack(">4H", 0, 0, 0, 1001), "a value of 1001 is beyond"),
        "pgm-largest-0": (b"P5 4 1 0\n\0\0\0\0", "largest value is 0"),
        "pgm-largest-70000": (b"P5 4 1 70000\n" + bytes(16), "largest value is 70000"),
        "pgm-cut": (b"P5 4 1 255\n\0\0\0", damaged),
        "pgm-negative": (b"P5 -4 1 255\n\0\0\0\0", damaged),
        "pgm-bomb": (b"P5 1000000000 1000000000 255\n", large),
        "pgm-line": (b"P5 1 80000000 255\n", "a side of more than 1,000,000"),
        "pgm-comment-without-end": (b"P5 #" + b"a" * 100_000, damaged),
        "pgm-digits-without-end": (b"P5 " + b"9" * 100_000, damaged),
        "gif-bomb": (b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\1\0\1\0\0\2\2L\1\0;", large),
        "webp-without-pixels": (b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0/" + bytes(12), damaged),
        "webp-of-no-kind": (b"RIFF\x1a\0\0\0WEBPABCD" + bytes(12), damaged),
        "webp-large": (
            bytes.fromhex("524946461e000000574542505650384c110000002f0fe7cf0707508426f4a0ff8188e87f0000"),
            dear,
        ),
        "jpeg2000-large": (jpeg2000(5000, 4001), dear),
        "jpeg2000-bomb": (jpeg2000((1 << 32) - 1, (1 << 32) - 1), large),
        "jpeg2000-cut": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), damaged),
        "jpeg2000-codestream-cut": (b"\xff\x4f\xff\x51" + bytes(40), damaged),
    }
    starts = {
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n", "eps-of-dos": b"\xc5\xd0\xd3\xc6", "pdf": b"%PDF-1.4\n", "svg": b"<svg/>",
        "ico": b"\0\0\1\0", "psd": b"8BPS\0\1", "dds": b"DDS ", "wmf": b"\xd7\xcd\xc6\x9a", "xpm": b"/* XPM */",
        "zip": b"PK\3\4", "pfm": b"Pf 1 1 -1.0\n", "pam": b"P7\nWIDTH 1\n", "avif": b"\0\0\0\x1cftypavif",
        "html": b"<html>",
        "fli": b"\0\0\0\0\x11\xaf", "sgi": b"\x01\xda", "pcx": b"\x0a\5", "sun": b"\x59\xa6\x6a\x95", "text": b"image",
        "elf": b"\x7fELF", "pickle": b"\x80\4\x95", "zeros": b"\0" * 9,
    }  # fmt: skip
    return files | {name: (start + bytes(200), other) for name, start in starts.items()}
