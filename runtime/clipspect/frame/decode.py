"""A frame, whatever it came as, becomes a picture: RGB or grey, eight bits.

EXIF orientation is applied, `eight_bits` converts what is not 8-bit RGB or grey, an animation gives its first picture.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.base.errors import ImageError, ImageReadError
from clipspect.frame.eight_bits import Stored, eight_bits
from clipspect.frame.input_limits import MAX_PIXELS, MAX_SIDE
from clipspect.frame.orientation import orientation_in_file, turned
from clipspect.frame.raster_file import EncodedImage, open_encoded, open_image, whole_images_only

Pixels: TypeAlias = npt.NDArray[np.uint8]
FrameLike: TypeAlias = (  # the error is one of its source
    "str | os.PathLike[str] | EncodedImage | Image.Image | Pixels | ImageError"
)
Picture: TypeAlias = "Image.Image | Pixels"  # checked and decoded: RGB or grey, uint8, the caller's own where it was so

_EXIF_ORIENTATION = 0x0112


def source_name(frame: FrameLike) -> str | None:
    """The path of a frame that has one, for messages and results."""
    if isinstance(frame, (str, os.PathLike)):
        return os.fspath(frame)
    if isinstance(frame, EncodedImage):
        return frame.name
    return getattr(frame, "filename", None) or None


def read(frame: FrameLike) -> Picture:
    """A path, the bytes of a file, or a PIL image as a PIL image of mode RGB or L; a uint8 array, (H, W, 3) RGB or
    (H, W) grey, as it is.

    Nothing is copied that need not be: the picture can share its pixels with the caller's image or array. OpenCV's
    frames are BGR: pass `frame[..., ::-1]`, a view. Raises ImageError that names the file; an ImageError, which a
    source gives for a frame that it could not read, is raised as it is.
    """
    if isinstance(frame, ImageError):
        raise frame
    if isinstance(frame, np.ndarray):
        return _checked(frame)
    if isinstance(frame, Image.Image):
        return _guarded(frame, source_name(frame) or "image", _orientation_in_memory)
    if isinstance(frame, (str, os.PathLike)):
        path = Path(frame)
        return _decoded(str(path), *open_image(path, _check_size))
    if isinstance(frame, EncodedImage):
        return _decoded(frame.name, *open_encoded(frame, _check_size))
    raise ImageError(f"cannot inspect {type(frame).__name__}: pass a path, a PIL image or a uint8 NumPy array")


def decode(frame: FrameLike) -> Image.Image:
    """The frame that `read` takes as a PIL image of mode RGB that is the caller's to change. Raises ImageError."""
    return to_rgb(read(frame))


def to_rgb(picture: Picture) -> Image.Image:
    """A picture as a PIL image of mode RGB, a copy."""
    return as_image(picture).convert("RGB")


def size_of(picture: Picture) -> tuple[int, int]:
    """Width and height."""
    return picture.size if isinstance(picture, Image.Image) else (picture.shape[1], picture.shape[0])


def as_image(picture: Picture) -> Image.Image:
    """A picture as a PIL image, its pixels shared where they can be."""
    return picture if isinstance(picture, Image.Image) else Image.fromarray(np.ascontiguousarray(picture))


def _checked(array: Pixels) -> Pixels:
    found = f"array of {array.dtype} {array.shape}"
    if array.dtype != np.uint8:
        raise ImageError(f"{found}: expected uint8 with values 0 to 255; scale and convert it first")
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] == 3):
        raise ImageError(f"{found}: expected (height, width, 3) RGB or (height, width) grey, one image at a time")
    if array.size == 0:
        raise ImageError(f"{found}: the image has no pixels")
    _check_size((array.shape[1], array.shape[0]), found)
    return array


def _decoded(name: str, image: Image.Image, held: io.BytesIO | None) -> Image.Image:
    # Not at a JPEG's half size (Pillow's draft): of a 1280 x 1024 frame it saves 6 of 10 ms of one core, which a
    # stream hides behind the engine, and over the 36 demo pictures moved scores by up to 0.009 and maps by 0.028.
    with image:
        return _guarded(image, name, orientation_in_file, held)


def _orientation_in_memory(image: Image.Image) -> int:
    """A caller may have set it, or ImageOps.exif_transpose taken it away: Pillow knows."""
    value = image.getexif().get(_EXIF_ORIENTATION, 1)
    return value if isinstance(value, int) else 1


def _guarded(
    image: Image.Image, name: str, orientation: Callable[[Image.Image], int], held: io.BytesIO | None = None
) -> Image.Image:
    """Decode and convert; whatever a decoder raises on damaged data becomes one ImageError."""
    _check_size(image.size, name)
    try:
        stored = Stored.of(image, name)
        with whole_images_only:
            image.load()
        if held is not None:
            held.close()  # hundreds of megabytes, of a large file without compression
        image = turned(image, orientation(image))
        return eight_bits(image, stored, name)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageReadError(
            f"{name}: cannot be read now (no memory for {image.width} x {image.height} pixels): free some, or shrink it"
        ) from error
    except (
        Exception
    ) as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, zlib.error, ...
        reason = " ".join(str(error).split())
        raise ImageError(f"{name}: damaged or cut short ({reason:.200}): copy or convert it again") from error


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height == 0:
        raise ImageError(f"{name}: the image has no pixels")
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name}: {width} x {height} is more than {MAX_PIXELS:,} pixels: shrink it or cut it into tiles"
        )
    if max(size) > MAX_SIDE:
        raise ImageError(f"{name}: {width} x {height} has a side of more than {MAX_SIDE:,} pixels: cut it into tiles")
