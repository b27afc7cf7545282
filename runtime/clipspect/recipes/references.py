"""References: the photos of good parts that a few-shot recipe is made of."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clipspect.base.errors import ImageError
from clipspect.base.files import sha256_of
from clipspect.frame.decode import FrameLike, Pixels, decode, source_name
from clipspect.frame.resize import part_of, to_model_size
from clipspect.frame.spec import ImageSpec
from clipspect.frame.viewing import WHOLE, Viewing
from clipspect.frame.views import View, same_aspect
from clipspect.recipes.rotations import STEPS, turned

TILES_KEPT = 16  # as many as teaching takes of whole photographs: a tile then costs what such a frame does


@dataclass(frozen=True, eq=False)
class References:
    """Photos of one size, and what a recipe says of each. As a sequence: what the graph reads, image by image.

    Photos are decoded again when they are asked for: of any number of them a few are in memory at once.
    """

    frames: list[FrameLike]
    sizes: tuple[tuple[int, int], ...]  # of the photos, each once: width, height
    files: list[dict[str, str]]  # name without its folder; sha256 of the file, or of an array's RGB pixels; content
    spec: ImageSpec
    views: list[tuple[View, ...]]  # of each photo, as of a frame that is inspected
    turns: int = 1  # images of each view: itself, or its rotations, too

    @property
    def owners(self) -> tuple[int, ...]:
        """Which photo each of the images shows."""
        return tuple(photo for photo, _, _ in self._images)

    @property
    def tried(self) -> tuple[int, ...]:
        """Images that are like frames to come: none that is turned; of whole photos one each, of tiles all.

        Tiles come in an order drawn by chance, always the same: the first few stand for all.
        """
        upright = tuple(place for place, (_, _, step) in enumerate(self._images) if step == 0)
        if self.images_kept is None:
            return upright
        return tuple(upright[drawn] for drawn in np.random.default_rng(0).permutation(len(upright)))

    @property
    def images_kept(self) -> int | None:
        """How many images' rows a gallery keeps where nobody says how many rows: all, but of tiles TILES_KEPT.

        Tiles share one gallery, wherever in the frame they lie, and each is compared with all of it.
        """
        tiled = any(len(views) > 1 for views in self.views)
        return min(TILES_KEPT, len(self)) if tiled else None

    def __len__(self) -> int:
        """How many images there are for the graph."""
        return len(self._images)

    def __getitem__(self, index: int) -> Pixels:
        """One image at the model's size, uint8 (H, W, 3). Raises IndexError, ImageError."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        photo, view, step = self._images[index]
        seen = part_of(self._decoded(photo), view.crop)
        return to_model_size(turned(np.asarray(seen), step) if step else seen, self.spec)

    def _decoded(self, photo: int) -> Image.Image:
        """The photo; the last one is kept, for its other tiles."""
        if photo not in self._last:
            self._last.clear()
            self._last[photo] = decode(self.frames[photo])
        return self._last[photo]

    @cached_property
    def _images(self) -> list[tuple[int, View, int]]:
        """Of each image its photo, its view and its turn."""
        return [
            (photo, view, step)
            for photo, views in enumerate(self.views)
            for view in views
            for step in range(self.turns)
        ]

    @cached_property
    def _last(self) -> dict[int, Image.Image]:
        return {}


def read_references(
    frames: Iterable[FrameLike], spec: ImageSpec, *, rotations: bool = False, viewing: Viewing = WHOLE
) -> References | None:
    """Every photo, checked, in the views of the recipe; None when there are none. Raises ImageError that names the
    photo.

    All must have one aspect: parts from another camera, or cut otherwise, are not what will be inspected. No two may be
    the same file or pixels: a photo that is left out to be compared with the others would find itself among them.
    With `rotations` each view is seen in STEPS of the whole circle, turned before it is squashed.
    """
    if isinstance(frames, (str, os.PathLike, Image.Image)) or getattr(frames, "ndim", 4) < 4:
        raise ImageError("references are several photos: pass them as a list")
    photos, files, views = [], [], []
    sizes: dict[tuple[int, int], str] = {}  # with the name of their first photo
    given: dict[str, str] = {}  # by SHA-256, the photo as it was named
    for number, frame in enumerate(frames, 1):
        image = decode(frame)
        source = source_name(frame) or f"photo {number}"
        name = Path(source).name
        sizes.setdefault(image.size, name)
        first = next(iter(sizes))
        if not same_aspect(image.size, first):
            raise ImageError(
                f"references of another aspect: {name} is {size_words(image.size)}, {sizes[first]} is "
                f"{size_words(first)}: take photos of one size, from the camera that will inspect"
            )
        if (region := viewing.region_of_interest) is not None and not region.fits(*image.size):
            drawn = f"{region.frame_size[0]} x {region.frame_size[1]}"
            raise ImageError(
                f"reference {name} is {image.width} x {image.height}, the region of interest was drawn on {drawn}: "
                "take photos from the camera that will inspect"
            )
        if isinstance(frame, (str, os.PathLike)):
            digest = sha256_of(Path(frame))
        else:
            digest = hashlib.sha256(image.tobytes()).hexdigest()
        if digest in given:
            raise ImageError(f"the same reference twice: {given[digest]} and {source} are equal: leave one of them out")
        given[digest] = source
        photos.append(frame)
        views.append(viewing.views(*image.size))
        files.append({"name": name, "sha256": digest, "content": content_digest(to_model_size(image, spec))})
    return References(photos, tuple(sizes), files, spec, views, STEPS if rotations else 1) if sizes else None


def reference_sizes(references: dict[str, Any] | None) -> tuple[tuple[int, int], ...]:
    """Width and height of the photos that a recipe says it was made of, each once; none where it has none."""
    if references is None:
        return ()
    sizes = references.get("sizes") or [references.get("size")]
    return tuple((width, height) for width, height in filter(None, sizes))


def content_digest(pixels: Pixels) -> str:
    """What a photo shows, uint8 (H, W, 3) at the model's size: the same under another name, or in another lossless
    format."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def size_words(size: tuple[int, int]) -> str:
    """Width and height for people: "640 x 480"."""
    return f"{size[0]} x {size[1]}"
