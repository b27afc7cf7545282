"""References: the photos of good parts that a few-shot recipe is made of."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.base.errors import ImageError
from clipspect.base.files import sha256_of
from clipspect.frame.decode import FrameLike, decode, source_name
from clipspect.frame.resize import to_model_size
from clipspect.frame.spec import ImageSpec


@dataclass(frozen=True, eq=False)
class References:
    """Photos of one size, ready for the graph, and what a recipe says of each."""

    pixels: npt.NDArray[np.uint8]  # (n, H, W, 3), at the model's size
    size: tuple[int, int]  # of the photos: width, height
    files: list[dict[str, str]]  # name without its folder; sha256 of the file, or of an array's RGB pixels; content

    def __len__(self) -> int:
        return len(self.files)


def read_references(frames: Iterable[FrameLike], spec: ImageSpec) -> References | None:
    """Decode and squash every photo; None when there are none. Raises ImageError that names the photo.

    All must have one size: parts from another camera, or cut otherwise, are not what will be inspected. No two may be
    the same file or pixels: a photo that is left out to be compared with the others would find itself among them.
    """
    if isinstance(frames, (str, os.PathLike, Image.Image)) or getattr(frames, "ndim", 4) < 4:
        raise ImageError("references are several photos: pass them as a list")
    pixels, files, size = [], [], None
    given: dict[str, str] = {}  # by SHA-256, the photo as it was named
    for number, frame in enumerate(frames, 1):
        image = decode(frame)
        source = source_name(frame) or f"photo {number}"
        name = Path(source).name
        if size is None:
            size = image.size
        elif image.size != size:
            raise ImageError(
                f"references of another size: {name} is {_size(image.size)}, {files[0]['name']} is {_size(size)}: "
                "take photos of one size, from the camera that will inspect"
            )
        if isinstance(frame, (str, os.PathLike)):
            digest = sha256_of(Path(frame))
        else:
            digest = hashlib.sha256(image.tobytes()).hexdigest()
        if digest in given:
            raise ImageError(f"the same reference twice: {given[digest]} and {source} are equal: leave one of them out")
        given[digest] = source
        pixels.append(to_model_size(image, spec))
        files.append({"name": name, "sha256": digest, "content": content_digest(pixels[-1])})
    return References(np.stack(pixels), size, files) if size is not None else None


def content_digest(pixels: npt.NDArray[np.uint8]) -> str:
    """What a photo shows, uint8 (H, W, 3) at the model's size: the same under another name, or in another lossless
    format."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
