"""An image file: its bytes are read whole, then decoded as one of the raster formats of `FORMATS`.

Two kinds of error stay apart: a file that the system does not give (ImageReadError; it may later), and bytes that were
read and are no image (ImageError). No decoder keeps a hold on the file: Pillow would map uncompressed pixels of a file
that it opens by its path, and they would change, or go, with the file.
"""

from __future__ import annotations

import contextlib
import io
import stat
import threading
from pathlib import Path

from PIL import Image, ImageFile, UnidentifiedImageError

from clipspect.base.errors import ImageError, ImageReadError

FORMATS = ("BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")  # MPO opens as JPEG
MAX_FILE_BYTES = 1 << 30


def open_image(path: Path) -> Image.Image:
    """The image in a file, its pixels not decoded yet. Raises ImageReadError, ImageError."""
    try:
        return Image.open(io.BytesIO(_content(path)), formats=FORMATS)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: not an image of a raster format: convert it to PNG or JPEG") from error
    except Exception as error:
        raise ImageError(f"{path}: cannot be read ({error}): check the file") from error


class _WholeImagesOnly(contextlib.AbstractContextManager[None]):
    """While any thread decodes, an image that ends early is an error, whatever another library has asked Pillow for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._decoding = 0
        self._asked = False

    def __enter__(self) -> None:
        with self._lock:
            if self._decoding == 0:
                self._asked, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
            self._decoding += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._decoding -= 1
            if self._decoding == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES = self._asked


whole_images_only = _WholeImagesOnly()


def _content(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise ImageError(f"{path}: is not a file")
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(f"{path}: no such file") from error
    except ValueError as error:  # a NUL in its name
        raise ImageError(f"{path}: no such file ({error})") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ImageReadError(f"{path}: cannot be read now ({reason}): check its rights, the disk, the share") from error
    if not content:
        raise ImageError(f"{path}: the file is empty")
    if len(content) > MAX_FILE_BYTES:
        raise ImageError(f"{path}: is more than {MAX_FILE_BYTES / 1e6:.0f} MB: cut the image into tiles")
    return content
