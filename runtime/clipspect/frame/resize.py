"""A picture, or a rectangle of it, becomes the model's input."""

from __future__ import annotations

from concurrent.futures import Executor

import numpy as np
from PIL import Image

from clipspect.frame.decode import Picture, Pixels, as_image, size_of
from clipspect.frame.input_limits import MAX_PIXELS
from clipspect.frame.spec import ImageSpec
from clipspect.frame.views import Box

_PART_PIXELS = 200_000  # source pixels that are worth a hand-over to another thread: about a millisecond


def part_of(picture: Picture, box: Box) -> Picture:
    """What lies in the box; the picture itself where that is all of it, else of an array a view, of an image a copy."""
    if (box.left, box.top) == (0, 0) and box.size == size_of(picture):
        return picture
    if isinstance(picture, np.ndarray):
        return picture[box.top : box.bottom, box.left : box.right]
    return picture.crop((box.left, box.top, box.right, box.bottom))


def to_model_size(picture: Picture, spec: ImageSpec, pool: Executor | None = None, parts: int = 1) -> Pixels:
    """Squashed to the model's size with PIL's bicubic filter: uint8 (H, W, 3), as the reference preprocessing.

    The columns are squashed before the rows, rounded in between: so did Pillow before 12.2, with which the methods
    were published; newer ones turn the order round for tall pictures. An RGB array of the model's size in C order is
    returned itself. With a pool, a large picture is squashed in so many parts at once; the pixels are the same.
    """
    if isinstance(picture, np.ndarray):
        if picture.ndim == 3 and picture.strides[2] < 0:  # BGR turned round: the channels are turned after the resize
            return np.ascontiguousarray(to_model_size(picture[..., ::-1], spec, pool, parts)[..., ::-1])
        if picture.shape == (spec.height, spec.width, 3):
            return np.ascontiguousarray(picture)
    width, height = size_of(picture)
    if spec.width * height > MAX_PIXELS:  # hardly a picture: a line of pixels, which has no room for that
        small = np.asarray(_resized(_resized(picture, (width, spec.height)), (spec.width, spec.height)))
    elif pool is None or (parts := min(parts, height, spec.width, width * height // _PART_PIXELS)) < 2:
        small = np.asarray(_resized(_resized(picture, (spec.width, height)), (spec.width, spec.height)))
    else:
        small = _in_parts(picture, spec, pool, parts)
    return small if small.ndim == 3 else np.repeat(small[..., None], 3, axis=2)


def _in_parts(picture: Picture, spec: ImageSpec, pool: Executor, parts: int) -> Pixels:
    """Both passes in so many parts at once: no row needs another for its columns, and then no column another."""
    height = size_of(picture)[1]
    colour = picture.mode == "RGB" if isinstance(picture, Image.Image) else picture.ndim == 3
    narrow = Image.new("RGB" if colour else "L", (spec.width, height))
    small = np.empty((spec.height, spec.width, 3) if colour else (spec.height, spec.width), np.uint8)

    def squash_columns(top: int, bottom: int) -> None:
        narrow.paste(_resized(_rows(picture, top, bottom), (spec.width, bottom - top)), (0, top))

    def squash_rows(left: int, right: int) -> None:
        strip = narrow.crop((left, 0, right, height))
        small[:, left:right] = np.asarray(_resized(strip, (right - left, spec.height)))

    for squash, length in ((squash_columns, height), (squash_rows, spec.width)):
        edges = [length * part // parts for part in range(parts + 1)]
        list(pool.map(squash, edges[:-1], edges[1:]))
    return small


def _rows(picture: Picture, top: int, bottom: int) -> Picture:
    """Rows top to bottom (exclusive)."""
    return picture[top:bottom] if isinstance(picture, np.ndarray) else picture.crop((0, top, picture.width, bottom))


def _resized(picture: Picture, size: tuple[int, int]) -> Image.Image:
    return as_image(picture).resize(size, Image.Resampling.BICUBIC)
