"""A frame that is ready to be scored: decoded, and its views in the model's size. No engine is needed for that."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.base.errors import ImageError
from clipspect.frame.decode import FrameLike, Picture, read, size_of, source_name, to_rgb
from clipspect.frame.quality import Quality, measure
from clipspect.frame.resize import part_of, to_model_size
from clipspect.frame.spec import ImageSpec
from clipspect.frame.views import View, whole_frame

ViewsOf: TypeAlias = Callable[[int, int], "tuple[View, ...]"]  # the views of a frame of that width and height


@dataclass(frozen=True, eq=False)
class Frame:
    """What `prepare` makes of a path, image or array."""

    source: str | None
    picture: Picture | None = field(repr=False)  # as it was read; None: let go to save memory
    size: tuple[int, int]  # of the picture: width, height
    views: tuple[View, ...]
    pixels: npt.NDArray[np.uint8] = field(repr=False)  # (views, H, W, 3), in the model's size
    decode_ms: float
    preprocess_ms: float
    quality: Quality  # of the pixels in the model's size

    @property
    def image(self) -> Image.Image:
        """The picture as a PIL image of mode RGB, a copy. Raises ImageError when it was let go."""
        if self.picture is None:
            raise ImageError(f"{self.source or 'frame'}: its picture was not kept: prepare the frame again")
        return to_rgb(self.picture)


def prepare(
    frame: FrameLike,
    spec: ImageSpec,
    pool: Executor | None = None,
    parts: int = 1,
    views: ViewsOf = whole_frame,
) -> Frame:
    """Decode and resize, a large picture in so many parts at once by the pool. Raises ImageError that names the file.

    An RGB array of the model's size in C order whose only view is the whole frame is not copied: `pixels` is the array.
    """
    start = perf_counter()
    picture = read(frame)
    decoded = perf_counter()
    size = size_of(picture)
    seen = views(*size)
    inputs = [to_model_size(part_of(picture, view.crop), spec, pool, parts) for view in seen]
    pixels = inputs[0][None] if len(inputs) == 1 else np.stack(inputs)
    quality = measure(pixels)
    done = perf_counter()
    times = (decoded - start) * 1e3, (done - decoded) * 1e3
    return Frame(source_name(frame), picture, size, seen, pixels, *times, quality)
