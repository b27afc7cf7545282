"""A frame that is ready to be scored: decoded, and in the model's size. No engine is needed for that."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.base.errors import ImageError, ImageReadError
from clipspect.frame.decode import FrameLike, Picture, read, size_of, source_name, to_rgb
from clipspect.frame.judged_area import JudgedArea
from clipspect.frame.quality import Quality, measure
from clipspect.frame.resize import part_of, to_model_size
from clipspect.frame.spec import ImageSpec
from clipspect.frame.viewing import WHOLE, Viewing
from clipspect.frame.views import Box, View


@dataclass(frozen=True, eq=False)
class Frame:
    """What `prepare` makes of a path, image or array."""

    source: str | None
    given: FrameLike = field(repr=False)  # what it was made of
    picture: Picture | None = field(repr=False)  # as it was read; None: let go to save memory
    size: tuple[int, int]  # of the picture: width, height
    viewing: Viewing = field(repr=False)  # of the recipe that it was prepared for
    box: Box  # what its views lie in
    views: tuple[View, ...]
    pixels: npt.NDArray[np.uint8] = field(repr=False)  # (1, H, W, 3): what is in the box, in the model's size
    decode_ms: float
    preprocess_ms: float
    quality: Quality  # of the pixels that are judged; of all where none may be
    area: JudgedArea | None = field(default=None, repr=False)  # what of it is judged; None: all

    @property
    def is_tiled(self) -> bool:
        """Whether its views are other than `pixels`, and are made of its picture when they are scored, see `tiles`."""
        return self.views != (View(self.box, self.box),)

    @property
    def image(self) -> Image.Image:
        """The picture as a PIL image of mode RGB, a copy. Raises ImageError when it was let go."""
        return to_rgb(self._kept())

    def tiles(self, spec: ImageSpec, pool: Executor, count: int) -> Iterator[npt.NDArray[np.uint8]]:
        """Its views in the model's size, `count` at a time, (n, H, W, 3), in their order.

        While some are in use the pool makes the next ones, and no others are in memory. Raises ImageError when the
        picture was let go.
        """
        picture = self._kept()

        def make(view: View) -> npt.NDArray[np.uint8]:
            return to_model_size(part_of(picture, view.crop), spec)

        waiting = iter(self.views)
        making = deque(pool.submit(make, view) for view in islice(waiting, count))
        while making:
            made = np.stack([making.popleft().result() for _ in range(len(making))])
            making.extend(pool.submit(make, view) for view in islice(waiting, count))
            yield made

    def _kept(self) -> Picture:
        if self.picture is None:
            raise ImageError(f"{self.source or 'frame'}: its picture was not kept: prepare the frame again")
        return self.picture


def prepare(
    frame: FrameLike,
    spec: ImageSpec,
    pool: Executor | None = None,
    parts: int = 1,
    viewing: Viewing = WHOLE,
) -> Frame:
    """Decode and resize, a large picture in so many parts at once by the pool. Raises ImageError that names the file.

    An RGB array of the model's size in C order whose only view is the whole frame is not copied: `pixels` is the array.
    """
    try:
        return _prepared(frame, spec, pool, parts, viewing)
    except MemoryError as error:
        name = source_name(frame) or "frame"
        raise ImageReadError(f"{name}: cannot be read now (no memory): free some, or shrink it") from error


def _prepared(frame: FrameLike, spec: ImageSpec, pool: Executor | None, parts: int, viewing: Viewing) -> Frame:
    start = perf_counter()
    picture = read(frame)
    decoded = perf_counter()
    size, source = size_of(picture), source_name(frame)
    try:
        views, box = viewing.views(*size), viewing.box(*size)
    except ImageError as error:
        raise ImageError(f"{source or 'frame'}: {error}") from error
    pixels = to_model_size(part_of(picture, box), spec, pool, parts)[None]
    area = viewing.judged(size, box, pixels[0])
    quality = measure(
        pixels, None if area is None or area.fault else area.mask_of_view(box, spec.width, spec.height)[None]
    )
    done = perf_counter()
    times = (decoded - start) * 1e3, (done - decoded) * 1e3
    return Frame(source, frame, picture, size, viewing, box, views, pixels, *times, quality, area)
