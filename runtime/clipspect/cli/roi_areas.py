"""Areas of a frame as the command line takes them: polygons as text, masks as image files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from clipspect.base.errors import ImageError, RecipeError
from clipspect.frame.decode import as_image, read
from clipspect.frame.region_of_interest import Area, Mask, Polygon, area_of

_NUMBER = r"-?\d+"
_CORNER = re.compile(rf"({_NUMBER}),({_NUMBER})")
_POLYGON_LIKE = re.compile(r"[-\d.,\s]+")
_MOST_CHECKED = 400  # corners of a polygon that are looked at for crossings


@dataclass(frozen=True)
class GivenAreas:
    """Polygons and masks as they were given, before the size of their frame is known."""

    polygons: tuple[Polygon, ...]
    masks: tuple[tuple[str, Mask], ...]  # with the name of their file

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Width and height of each mask."""
        return {name: (mask.shape[1], mask.shape[0]) for name, mask in self.masks}

    def area(self) -> Area:
        """All of them together; the masks are of one size."""
        if not self.masks:
            return Area(self.polygons)
        together = np.logical_or.reduce([mask for _, mask in self.masks])
        return Area(self.polygons, area_of(together).runs)


def read_areas(words: list[str]) -> GivenAreas:
    """Each word is a polygon, "x,y x,y x,y", or the path of a mask. Raises RecipeError, ImageError."""
    polygons, masks = [], []
    for word in words:
        if _POLYGON_LIKE.fullmatch(word) and not Path(word).exists():
            polygons.append(_polygon(word))
        else:
            masks.append((word, read_mask(Path(word))))
    return GivenAreas(tuple(polygons), tuple(masks))


def _polygon(word: str) -> Polygon:
    corners = []
    for part in word.split():
        found = _CORNER.fullmatch(part)
        if found is None:
            raise RecipeError(f"polygon {word!r}: {part!r} is no corner: write whole pixels, as 10,20 200,20 100,180")
        corners.append((int(found[1]), int(found[2])))
    if len(set(corners)) < 3:
        raise RecipeError(f"polygon {word!r}: {len(set(corners))} different corners: give three at least, x,y x,y x,y")
    return tuple(corners)


def read_mask(path: Path) -> Mask:
    """What is white in a black and white image. Raises ImageError."""
    image = as_image(read(path))
    pixels = np.asarray(image.convert("RGB"))
    if (pixels != pixels[..., :1]).any():
        raise ImageError(f"{path}: a mask is black and white, this image has colours: save it as a mask")
    levels, counts = np.unique(pixels[..., 0], return_counts=True)
    between = (levels > 0) & (levels < 255)
    if between.any():
        number = int(counts[between].sum())
        raise ImageError(
            f"{path}: {number} of {pixels[..., 0].size} pixels are neither black (0) nor white (255), but "
            f"{levels[between][0]} for one: draw the mask without anti-aliasing and save it as PNG, not JPEG"
        )
    mask: Mask = pixels[..., 0] == 255
    if not mask.any():
        raise ImageError(f"{path}: the mask is black: draw what is meant in white")
    return mask


def crosses_itself(polygon: Polygon) -> bool:
    """Whether two edges that are no neighbours touch; of more corners than are looked at, False."""
    if len(polygon) > _MOST_CHECKED:
        return False
    edges = list(zip(polygon, (*polygon[1:], polygon[0])))
    last = len(edges) - 1
    return any(
        _touch(one, other)
        for (i, one), (j, other) in combinations(enumerate(edges), 2)
        if j - i > 1 and (i, j) != (0, last)
    )


_Edge = tuple[tuple[int, int], tuple[int, int]]


def _touch(one: _Edge, other: _Edge) -> bool:
    (a, b), (c, d) = one, other
    if max(a[0], b[0]) < min(c[0], d[0]) or max(c[0], d[0]) < min(a[0], b[0]):
        return False
    if max(a[1], b[1]) < min(c[1], d[1]) or max(c[1], d[1]) < min(a[1], b[1]):
        return False
    return _side(a, b, c) * _side(a, b, d) <= 0 and _side(c, d, a) * _side(c, d, b) <= 0


def _side(a: tuple[int, int], b: tuple[int, int], point: tuple[int, int]) -> int:
    """On which side of the line from a to b the point lies: the sign of a cross product."""
    cross = (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
    return (cross > 0) - (cross < 0)
