"""Videos whose frames have their number drawn in them, as a row of black and white fields, and the way to read it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

BITS, FIELD = 16, 8
WIDTH, HEIGHT = BITS * FIELD, 48
FPS = 25


def numbered(number: int, height: int = HEIGHT) -> npt.NDArray[np.uint8]:
    """A frame (height, 128, 3): grey, with its number in the middle."""
    picture = np.full((height, WIDTH, 3), 90, np.uint8)
    for bit in range(BITS):
        field = slice(bit * FIELD, (bit + 1) * FIELD)
        picture[height // 4 : 3 * height // 4, field] = 230 if number >> bit & 1 else 20
    return picture


def number_in(picture: Any) -> int:
    """The number drawn in a frame, of any number of channels. Fails where it is not whole."""
    pixels = np.asarray(picture).astype(int)
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
    middle = grey[grey.shape[0] // 3 : 2 * grey.shape[0] // 3]
    values = middle.reshape(len(middle), BITS, FIELD)[:, :, 2:-2]
    bits = values.mean(axis=(0, 2)) > 128
    assert np.ptp(values, axis=(0, 2)).max() < 80, "the frame is not whole"
    return sum(int(bit) << place for place, bit in enumerate(bits))


def write_video(path: Path, frames: int, *, codec: str = "libx264", pix_fmt: str = "yuv420p", **options: str) -> Path:
    """A video of so many numbered frames, 25 a second, a key frame every 10."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS, options={"g": "10", **options})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        stream.time_base = stream.codec_context.time_base = Fraction(1, FPS)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
