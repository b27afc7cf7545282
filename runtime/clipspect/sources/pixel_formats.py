"""Pixel formats of industrial cameras, by their codes in GenICam's PFNC, as pixels of eight bits.

Deep grey is scaled from its full range, as that of files is; a colour mosaic is interpolated bilinearly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import ImageError
from clipspect.frame.decode import Pixels

Packing: TypeAlias = Literal["bytes", "words", "packed", "p"]


@dataclass(frozen=True)
class PixelFormat:
    """How a camera's buffer holds pixels."""

    name: str
    bits: int  # of a value
    packing: Packing = "bytes"  # "words" of 16 bits; GigE Vision's own "packed", two in three bytes; PFNC's dense "p"
    colour: str = "grey"  # or RGB, BGR, or where the red pixel of a mosaic is: RG, GR, GB, BG, row by row

    @property
    def bytes_a_pixel(self) -> float:
        if self.packing in {"packed", "p"}:
            return 1.5 if self.packing == "packed" else self.bits / 8
        return (2 if self.packing == "words" else 1) * (3 if self.colour in {"RGB", "BGR"} else 1)


_MOSAICS = ("GR", "RG", "GB", "BG")  # in the order of their codes
FORMATS: dict[int, PixelFormat] = {
    0x01080001: PixelFormat("Mono8", 8),
    0x01100003: PixelFormat("Mono10", 10, "words"),
    0x01100005: PixelFormat("Mono12", 12, "words"),
    0x01100025: PixelFormat("Mono14", 14, "words"),
    0x01100007: PixelFormat("Mono16", 16, "words"),
    0x010C0004: PixelFormat("Mono10Packed", 10, "packed"),
    0x010C0006: PixelFormat("Mono12Packed", 12, "packed"),
    0x010A0046: PixelFormat("Mono10p", 10, "p"),
    0x010C0047: PixelFormat("Mono12p", 12, "p"),
    0x02180014: PixelFormat("RGB8", 8, colour="RGB"),
    0x02180015: PixelFormat("BGR8", 8, colour="BGR"),
    **{0x01080008 + i: PixelFormat(f"Bayer{tiles}8", 8, colour=tiles) for i, tiles in enumerate(_MOSAICS)},
    **{0x0110000C + i: PixelFormat(f"Bayer{tiles}10", 10, "words", tiles) for i, tiles in enumerate(_MOSAICS)},
    **{0x01100010 + i: PixelFormat(f"Bayer{tiles}12", 12, "words", tiles) for i, tiles in enumerate(_MOSAICS)},
    **{0x0110002E + i: PixelFormat(f"Bayer{tiles}16", 16, "words", tiles) for i, tiles in enumerate(_MOSAICS)},
}


def known_format(code: int, name: str, camera: str) -> PixelFormat:
    """The format of that code. Raises ImageError, which names it, for one that is not read."""
    found = FORMATS.get(code)
    if found is None:
        raise ImageError(
            f"{camera}: pixels of the format {name} (0x{code:08x}) are not read: set the camera's PixelFormat to one "
            f"of {', '.join(sorted(each.name for each in FORMATS.values()))}"
        )
    return found


def pixels_from(data: Pixels, size: tuple[int, int], form: PixelFormat, padding: int = 0) -> Pixels:
    """Grey (height, width) or RGB (height, width, 3), a copy, of a buffer (bytes,) of width, height.

    `padding` are bytes after each row. Raises ImageError where the buffer is too small.
    """
    width, height = size
    if padding:
        row = math.ceil(width * form.bytes_a_pixel)
        stride = row + padding
        held = _enough(data, stride * height - padding, form)[: stride * height]
        rows = np.pad(held, (0, stride * height - len(held))).reshape(height, stride)[:, :row]
    else:
        rows = _enough(data, math.ceil(width * height * form.bytes_a_pixel), form)[None]
    values = _eight_bits(_unpacked(rows, form), form)
    if form.colour in {"RGB", "BGR"}:
        picture = values.reshape(height, -1)[:, : width * 3].reshape(height, width, 3)
        return np.ascontiguousarray(picture[..., ::-1] if form.colour == "BGR" else picture)
    plane = values[:, :width] if padding else values.reshape(-1)[: width * height].reshape(height, width)
    return np.ascontiguousarray(plane) if form.colour == "grey" else demosaic(plane, form.colour)


def demosaic(mosaic: Pixels, tiles: str) -> Pixels:
    """RGB (H, W, 3) of a colour mosaic (H, W): each missing value is the mean of its two or four nearest, rounded.

    At the edges the mosaic is mirrored, which keeps its order. `tiles` are the first row's first two colours.
    """
    height, width = mosaic.shape
    around = np.pad(mosaic, 1, mode="reflect" if min(height, width) > 1 else "edge").astype(np.uint16)
    picture = np.empty((height, width, 3), np.uint8)
    red_row, red_column = divmod(("RG", "GR", "GB", "BG").index(tiles), 2)
    for row in range(min(2, height)):
        for column in range(min(2, width)):
            near = _near(around, row, column, height, width)
            on_red_row, on_red_column = row == red_row, column == red_column
            here = picture[row::2, column::2]
            if on_red_row == on_red_column:
                own, other = (0, 2) if on_red_row else (2, 0)
                here[..., own], here[..., 1], here[..., other] = near(0, 0), near.cross(), near.corners()
            else:
                beside, above = (0, 2) if on_red_row else (2, 0)
                here[..., 1], here[..., beside], here[..., above] = near(0, 0), near.beside(), near.above()
    return picture


@dataclass(frozen=True)
class _Near:
    """The neighbours of every other pixel of every other row."""

    at: Callable[[int, int], npt.NDArray[np.uint16]]

    def __call__(self, down: int, right: int) -> npt.NDArray[np.uint16]:
        return self.at(down, right)

    def beside(self) -> npt.NDArray[Any]:
        return (self.at(0, -1) + self.at(0, 1) + 1) >> 1

    def above(self) -> npt.NDArray[Any]:
        return (self.at(-1, 0) + self.at(1, 0) + 1) >> 1

    def cross(self) -> npt.NDArray[Any]:
        return (self.at(0, -1) + self.at(0, 1) + self.at(-1, 0) + self.at(1, 0) + 2) >> 2

    def corners(self) -> npt.NDArray[Any]:
        return (self.at(-1, -1) + self.at(-1, 1) + self.at(1, -1) + self.at(1, 1) + 2) >> 2


def _near(around: npt.NDArray[np.uint16], row: int, column: int, height: int, width: int) -> _Near:
    def at(down: int, right: int) -> npt.NDArray[np.uint16]:
        return around[1 + row + down : 1 + height + down : 2, 1 + column + right : 1 + width + right : 2]

    return _Near(at)


def _unpacked(rows: Pixels, form: PixelFormat) -> npt.NDArray[np.uint16] | Pixels:
    """The values of each row (rows, values), some more than there are pixels where they end within a group."""
    if form.packing == "bytes":
        return rows
    if form.packing == "words":
        even = rows[:, : rows.shape[1] // 2 * 2]
        return np.ascontiguousarray(even).view("<u2")
    group = 5 if (form.packing, form.bits) == ("p", 10) else 3
    b = np.pad(rows, ((0, 0), (0, -rows.shape[1] % group))).reshape(len(rows), -1, group).astype(np.uint16)
    b = np.moveaxis(b, -1, 0)
    if form.packing == "packed":
        low = form.bits - 8
        values = [b[0] << low | b[1] & ((1 << low) - 1), b[2] << low | b[1] >> 4 & ((1 << low) - 1)]
    elif form.bits == 12:
        values = [b[0] | (b[1] & 15) << 8, b[1] >> 4 | b[2] << 4]
    else:
        values = [
            b[0] | (b[1] & 3) << 8, b[1] >> 2 | (b[2] & 15) << 6,
            b[2] >> 4 | (b[3] & 63) << 4, b[3] >> 6 | b[4] << 2,
        ]  # fmt: skip
    return np.stack(values, axis=-1).reshape(len(rows), -1)


def _eight_bits(values: npt.NDArray[np.uint16] | Pixels, form: PixelFormat) -> Pixels:
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    scale = (1 << form.bits) - 1
    table = ((np.arange(scale + 1, dtype=np.int64) * 255 + scale // 2) // scale).astype(np.uint8)
    return table[np.minimum(values, scale)]


def _enough(data: Pixels, needed: int, form: PixelFormat) -> Pixels:
    if len(data) < needed:
        raise ImageError(f"a buffer of {len(data)} bytes: expected {needed} of {form.name}")
    return data
