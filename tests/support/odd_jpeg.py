"""Odd JPEG files, marker by marker: what cameras and converters write, and what they should not."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

from support.odd_png import TURN, XMP, exif

_PICTURE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (6, 9, 3), np.uint8)).resize(
    (83, 61), Image.Resampling.BICUBIC
)


def _jpeg(image: Image.Image = _PICTURE, **options: object) -> bytes:
    held = io.BytesIO()
    image.save(held, "JPEG", **options)
    return held.getvalue()


def _app(number: int, data: bytes) -> bytes:
    return bytes([0xFF, 0xE0 + number]) + struct.pack(">H", len(data) + 2) + data


def odd_jpegs() -> dict[str, bytes]:
    """By name."""
    return {**_of_kinds(), **_of_segments(), **_of_frames(), **_of_scans()}


def _of_kinds() -> dict[str, bytes]:
    plain = _jpeg()
    files = {
        "plain": plain,
        "grey": _jpeg(_PICTURE.convert("L")),
        "cmyk": _jpeg(_PICTURE.convert("CMYK")),
        "rgb": _jpeg(keep_rgb=True),
        "optimised": _jpeg(optimize=True),
        "progressive": _jpeg(progressive=True),
        "restarts": _jpeg(restart_marker_rows=1),
    }
    files |= {f"subsampling-{name}": _jpeg(subsampling=name) for name in ("4:4:4", "4:2:2", "4:2:0", "4:1:1")[:3]}
    for order in TURN:
        for kind in (3, 4):
            files |= {
                f"exif-{order}-{kind}-{value}": plain[:20]
                + _app(1, b"Exif\0\0" + exif(value, order, kind))
                + plain[20:]
                for value in range(10)
            }
    return files


def _of_segments() -> dict[str, bytes]:
    files, plain = {}, _jpeg()
    start = plain[:20]
    directory = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
    xmp = _app(1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)
    for name, extra in {
        "exif-twice": _app(1, b"Exif\0\0" + exif(3)) + _app(1, b"Exif\0\0" + exif(6)),
        "exif-split": _app(1, b"Exif\0\0" + exif(6)[:12]) + _app(1, b"Exif\0\0" + exif(6)[12:]),
        "exif-pad": _app(1, b"Exif\0\xff" + exif(6)),
        "exif-short": _app(1, b"Exif"),
        "exif-none": _app(1, b"Exif\0\0"),
        "xmp-turned": xmp,
        "xmp-beside-exif": _app(1, b"Exif\0\0" + exif(3)) + xmp,
        "xmp-beside-empty-exif": _app(1, b"Exif\0\0" + directory) + xmp,
        "exif-second-directory": _app(1, b"Exif\0\0" + exif(6, ifd=1)),
        "exif-count2": _app(1, b"Exif\0\0" + exif(6, count=2)),
        "exif-count0": _app(1, b"Exif\0\0" + exif(6, count=0)),
        "exif-byte": _app(1, b"Exif\0\0" + exif(6, kind=1)),
        "exif-loop": _app(1, b"Exif\0\0II*\0\x08\0\0\0\0\0\x08\0\0\0"),
        "exif-beyond": _app(1, b"Exif\0\0II*\0\xf0\xff\xff\xff"),
        "profile": _app(2, b"ICC_PROFILE\0\1\1" + bytes(200)),
        "adobe-rgb": _app(14, b"Adobe\0\x64\0\0\0\0\0"),
        "adobe-ycck": _app(14, b"Adobe\0\x64\0\0\0\0\2"),
        "mpf": _app(2, b"MPF\0" + b"II*\0\x08\0\0\0\0\0"),
        "mpf-damaged": _app(2, b"MPF\0xx"),
        "fill-bytes": b"\xff\xff\xff\xfe\0\4ab",
        "comment": b"\xff\xfe\0\4ab",
        "marker-length-1": b"\xff\xfe\0\1",
        "marker-length-0": b"\xff\xfe\0\0",
        "photoshop": _app(13, b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\xff\xff"),
    }.items():
        files[name] = start + extra + plain[20:]
    return files


def _of_frames() -> dict[str, bytes]:
    files, plain = {}, _jpeg()
    scan = plain.index(b"\xff\xda")
    frame = plain.index(b"\xff\xc0")
    files["no-jfif"] = plain[:2] + plain[20:]
    files["trailing"] = plain + b"trailing" * 50
    files["two-files"] = plain + _jpeg(_PICTURE.rotate(90))
    files["end-missing"] = plain[:-2]
    files["zeros-in-the-middle"] = plain[: scan + 100] + bytes(60) + plain[scan + 160 :]
    files["ff-in-the-middle"] = plain[: scan + 100] + b"\xff\xd9" + plain[scan + 102 :]
    files["restart-in-the-middle"] = plain[: scan + 100] + b"\xff\xd3" + plain[scan + 102 :]
    files["height0"] = plain[: frame + 5] + b"\0\0" + plain[frame + 7 :]
    files["height-more"] = plain[: frame + 5] + b"\0\xff" + plain[frame + 7 :]
    files["height-less"] = plain[: frame + 5] + b"\0\x10" + plain[frame + 7 :]
    files["width0"] = plain[: frame + 7] + b"\0\0" + plain[frame + 9 :]
    files["bomb"] = plain[: frame + 5] + b"\xff\xff\xff\xff" + plain[frame + 9 :]
    files["precision12"] = plain[: frame + 4] + b"\x0c" + plain[frame + 5 :]
    files["components2"] = plain[: frame + 9] + b"\2" + plain[frame + 10 :]
    files["lossless"] = plain[: frame + 1] + b"\xc3" + plain[frame + 2 :]
    files["arithmetic"] = plain[: frame + 1] + b"\xc9" + plain[frame + 2 :]
    files["sampling-440"] = plain[: frame + 11] + b"\x12" + plain[frame + 12 :]
    files["sampling-huge"] = plain[: frame + 11] + b"\x44" + plain[frame + 12 :]
    files["no-tables"] = plain[:scan].replace(b"\xff\xdb", b"\xff\xfe") + plain[scan:]
    files["no-huffman"] = plain[:scan].replace(b"\xff\xc4", b"\xff\xfe") + plain[scan:]
    return files


def _of_scans() -> dict[str, bytes]:
    files, plain = {}, _jpeg()
    many = _jpeg(progressive=True)
    files["scan-missing"] = many[: many.rindex(b"\xff\xda")] + b"\xff\xd9"
    first = many.index(b"\xff\xda")
    second = many.index(b"\xff\xc4", first)
    files["many-scans"] = many[:second] + many[first:second] * 3000 + many[second:]
    files |= {f"cut-{part}": plain[: len(plain) * part // 20] for part in range(20)}
    files |= {f"cut-progressive-{part}": many[: len(many) * part // 20] for part in range(20)}
    return files
