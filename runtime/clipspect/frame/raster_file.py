"""An image file: its bytes are read whole, then decoded as the raster format that its first bytes name.

Two kinds of error stay apart: a file that the system does not give (ImageReadError; it may later), and bytes that were
read and are no image (ImageError). No decoder keeps a hold on the file: Pillow would map uncompressed pixels of a file
that it opens by its path, and they would change, or go, with the file.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from PIL import Image, ImageFile, UnidentifiedImageError

from clipspect.base.errors import ImageError, ImageReadError
from clipspect.frame.file_structure import StructureError, require_jpeg, require_png, require_tiff
from clipspect.frame.input_limits import MAX_FILE_BYTES, MAX_PIXELS
from clipspect.frame.pnm_file import PnmError, decode_pnm, header_of

RequireSize: TypeAlias = Callable[[tuple[int, int], str], None]
_SIGNATURES = {  # how a file begins, and Pillow's name of the format
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",  # MPO opens as JPEG
    b"BM": "BMP",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\xff\x4f\xff\x51": "JPEG2000",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000",
    **{b"P%d" % number: "PPM" for number in range(1, 7)},
}
FORMATS = (*sorted(set(_SIGNATURES.values())), "WEBP")  # for who asks Pillow itself
_STRUCTURES = {"PNG": require_png, "JPEG": require_jpeg, "TIFF": require_tiff}
_DEAR = {"JPEG2000": 4, "WEBP": 4}  # times the memory of others a pixel, in their libraries
_BITS = 258  # TIFF's tag
_LONGEST_SIGNATURE = 16
_PLAIN = tuple(b"P%d" % number for number in (1, 2, 3))
_MOST_PLAIN_BYTES = 16_000_000  # numbers as text are read one by one


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """An image file's bytes that came from elsewhere than a file, and what errors and records call it."""

    name: str
    content: bytes = field(repr=False)


def open_image(path: Path, require_size: RequireSize) -> tuple[Image.Image, io.BytesIO | None]:
    """The image in a file, its pixels not decoded yet, and its bytes, to be closed when they are; None: they are.

    `require_size` refuses a width and height that are too large, of a name. Raises ImageReadError, ImageError.
    """
    return _image_in(_content(path), str(path), require_size)


def open_encoded(encoded: EncodedImage, require_size: RequireSize) -> tuple[Image.Image, io.BytesIO | None]:
    """The same of a file's bytes. Raises ImageError."""
    content, name = encoded.content, encoded.name
    if not content:
        raise ImageError(f"{name}: the file is empty")
    if not _format_of(content[:_LONGEST_SIGNATURE]):
        raise ImageError(_not_raster(name))
    if len(content) > MAX_FILE_BYTES:
        raise ImageError(_too_large(name))
    return _image_in(content, name, require_size)


def _image_in(content: bytes, name: str, require_size: RequireSize) -> tuple[Image.Image, io.BytesIO | None]:
    try:
        return _opened(content, _format_of(content), name, require_size)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageReadError(f"{name}: cannot be read now (no memory): free some, or shrink it") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: more than {MAX_PIXELS:,} pixels: shrink it or cut it into tiles") from error
    except (StructureError, PnmError) as error:
        raise ImageError(f"{name}: damaged or cut short ({error}): copy or convert it again") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: damaged or cut short (its header): copy or convert it again") from error
    except Exception as error:  # Pillow's plug-ins raise whatever comes
        reason = " ".join(str(error).split())
        raise ImageError(f"{name}: damaged or cut short ({reason:.200}): copy or convert it again") from error


def _opened(content: bytes, kind: str, name: str, require_size: RequireSize) -> tuple[Image.Image, io.BytesIO | None]:
    if kind in _STRUCTURES:
        _STRUCTURES[kind](content)
    elif kind == "PPM" and content[:2] in (b"P5", b"P6"):
        require_size(header_of(content)[1:3], name)
        return decode_pnm(content), None
    elif content[:2] in _PLAIN and len(content) > _MOST_PLAIN_BYTES:
        raise ImageError(f"{name}: more than {_MOST_PLAIN_BYTES // 10**6} MB of numbers as text: save it as binary")
    held = io.BytesIO(content)
    image = Image.open(held, formats=(kind,))
    if kind in _DEAR and image.width * image.height > (most := MAX_PIXELS // _DEAR[kind]):
        raise ImageError(
            f"{name}: {image.width} x {image.height} is more than {most:,} pixels of {kind}: save it as PNG"
        )
    if kind == "TIFF" and _raw_bits(image) > 8 * len(content):
        raise StructureError("the file ends before its pixels do")
    return image, held


def _raw_bits(image: Image.Image) -> int:
    """How much a TIFF holds without compression, at least; 0 where it is compressed."""
    if not image.tile or image.tile[0][0] != "raw":  # type: ignore[attr-defined]
        return 0
    bits = image.tag_v2.get(_BITS, 1)  # type: ignore[attr-defined]
    return image.width * image.height * int(sum(bits) if isinstance(bits, tuple) else bits)


def _format_of(start: bytes) -> str:
    """Pillow's name of the format; empty for none that is taken."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for signature, kind in _SIGNATURES.items() if start.startswith(signature)), "")


class _WholeImagesOnly(contextlib.AbstractContextManager[None]):
    """While any thread decodes, an image that ends early is an error, whatever another library has asked Pillow for."""

    def __init__(self) -> None:
        self._asked = False
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Nobody decodes: also in a process that was forked while a thread of the other held the lock."""
        self._lock = threading.Lock()
        self._decoding = 0

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
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            os.scandir(path).close()  # raises why it cannot be listed, if it cannot
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
            raise ImageError(f"{path}: is not a file")
        with path.open("rb") as file:
            start = file.read(_LONGEST_SIGNATURE)
            if start and not _format_of(start):
                raise ImageError(_not_raster(str(path)))
            if status.st_size > MAX_FILE_BYTES:  # unread: a file with holes takes no space on the disk
                raise ImageError(_too_large(str(path)))
            file.seek(0)
            content = file.read(min(status.st_size, MAX_FILE_BYTES) + 1)
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
        raise ImageError(_too_large(str(path)))
    if len(content) > status.st_size:
        raise ImageReadError(f"{path}: cannot be read now (it is being written): wait until it is whole")
    return content


def _not_raster(name: str) -> str:
    return f"{name}: not an image of a raster format: convert it to PNG or JPEG"


def _too_large(name: str) -> str:
    return f"{name}: is a file of more than {MAX_FILE_BYTES / 1e6:.0f} MB: compress it, or cut the image into tiles"
