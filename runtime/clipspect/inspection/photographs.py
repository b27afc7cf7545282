"""Photographs that calibration scores: each read before work is spent, told by what it shows, grouped to parts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.base.errors import ImageError, RecipeError
from clipspect.base.progress import Progress, quiet
from clipspect.frame.decode import FrameLike
from clipspect.frame.item import Item, items_of
from clipspect.frame.prepare import prepare
from clipspect.frame.spec import ImageSpec
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.references import content_digest

_THUMBNAIL = 16  # pixels a side
_KEPT_DIGITS = 16  # hexadecimal ones of a digest: enough to tell photographs apart
_COMPARED = 2000  # photographs
_ALIKE = 0.15  # of the median difference between two photographs


@dataclass(frozen=True, eq=False)
class Photograph:
    """One frame of a part."""

    item: Item = field(repr=False)
    name: str  # its path as it was given, else its source and number
    part: str  # what it shows: frames of one part count once
    content: str  # digest of what it shows at the model's size
    size: tuple[int, int]  # width, height
    thumbnail: npt.NDArray[np.float32] = field(repr=False)  # (16, 16, 3): how it looks


def read_photographs(
    frames: Iterable[Item | FrameLike],
    spec: ImageSpec,
    *,
    group: str | None = None,
    workers: int = 1,
    progress: Progress = quiet,
) -> list[Photograph]:
    """Decode every frame once, and keep what it is. `group` is the pattern that names the part of a path.

    Raises ImageError that names the file which cannot be read, RecipeError for a path that the pattern does not match.
    """
    if isinstance(frames, (str, os.PathLike, Image.Image, Item)) or getattr(frames, "ndim", 4) < 4:
        raise ImageError("expected several photographs: for a folder give clipspect.sources.files(FOLDER)")
    items = list(items_of(frames))
    names = [_text(item.name) for item in items]
    parts = [_part(item, group) for item in items]

    def read(item: Item) -> tuple[str, tuple[int, int], npt.NDArray[np.float32]] | ImageError:
        try:
            frame = prepare(item.frame, spec)
        except ImageError as error:
            return error
        return content_digest(frame.pixels[0]), frame.size, _thumbnail(frame.pixels[0])

    photographs, faults = [], []
    with ThreadPoolExecutor(workers, "clipspect-photographs") as pool:
        for done, (item, name, part, found) in enumerate(zip(items, names, parts, pool.map(read, items)), 1):
            if isinstance(found, ImageError):
                faults.append(found)
            else:
                photographs.append(Photograph(item, name, part, *found))
            progress("reading photographs", done, len(items))
    if faults:
        others = f" (and {len(faults) - 1} more that cannot be read)" if len(faults) > 1 else ""
        raise ImageError(f"{faults[0]}{others}") from faults[0]
    return photographs


def refuse_equal(good: Sequence[Photograph], defective: Sequence[Photograph] = ()) -> None:
    """Raises RecipeError where two show the same: a part that counts twice promises too much, and none is both."""
    passing: dict[str, str] = {}
    for photograph in good:
        _refuse_known(photograph, passing)
    failing: dict[str, str] = {}
    for photograph in defective:
        if photograph.content in passing:
            raise RecipeError(
                f"{photograph.name} is given as defective and shows the same as {passing[photograph.content]}, which "
                "is given as good: leave one of the two out"
            )
        _refuse_known(photograph, failing)


def _refuse_known(photograph: Photograph, seen: dict[str, str]) -> None:
    if photograph.content in seen:
        raise RecipeError(
            f"the same photograph twice: {seen[photograph.content]} and {photograph.name}: leave one of them out"
        )
    seen[photograph.content] = photograph.name


def short_content(content: str) -> str:
    """As a calibration keeps it of each frame."""
    return content[:_KEPT_DIGITS]


def references_of(recipe: Recipe) -> dict[str, int]:
    """By content, the number of each photograph in the recipe's gallery. Raises RecipeError where it is not known."""
    if not recipe.has_references:
        return {}
    files = (recipe.references or {}).get("files", [])
    if not files or not all("content" in file for file in files):
        raise RecipeError(
            f"recipe {recipe.name!r} does not say what its references show, so that they could not be told from other "
            f"good parts: make it again with clipspect recipe"
        )
    return {file["content"]: number for number, file in enumerate(files)}


def refuse_references(
    recipe: Recipe,
    photographs: Sequence[Photograph],
    instead: str = "calibrate on others, or have an estimate of the references alone with --estimate",
) -> None:
    """Raises RecipeError for a photograph of the gallery: it scores lower than any part to come."""
    known = references_of(recipe)
    found = [photograph for photograph in photographs if photograph.content in known]
    if found:
        others = f" and {len(found) - 1} others are" if len(found) > 1 else " is"
        raise RecipeError(
            f"{found[0].name}{others} in the gallery of recipe {recipe.name!r}: its score says nothing of parts to "
            f"come; {instead}"
        )


def alike(photographs: Sequence[Photograph]) -> tuple[str, str] | None:
    """The two of different parts that differ least, if they differ much less than others do; None: none do.

    Of the first 2,000 photographs: each is compared with each.
    """
    photographs = photographs[:_COMPARED]
    if len(photographs) < 3:
        return None
    looks = np.stack([photograph.thumbnail.ravel() for photograph in photographs]).astype(np.float64)
    squares = np.einsum("ij,ij->i", looks, looks)
    apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * looks @ looks.T, 0))
    first, second = np.triu_indices(len(photographs), 1)
    parts = np.unique([photograph.part for photograph in photographs], return_inverse=True)[1]
    others = parts[first] != parts[second]
    if not others.any():
        return None
    first, second = first[others], second[others]
    distances = apart[first, second]
    nearest = int(distances.argmin())
    if distances[nearest] >= _ALIKE * np.median(distances):
        return None
    return photographs[first[nearest]].name, photographs[second[nearest]].name


def _thumbnail(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    small = Image.fromarray(pixels).resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small, np.float32)


def _part(item: Item, group: str | None) -> str:
    """The part's name: what the pattern finds in the path below its source; without one, the frame is a part itself."""
    if group is None:
        return _text(item.name)
    path = _text(_below_source(item))
    try:
        found = re.search(group, path)
    except re.error as error:
        raise RecipeError(f"group {group!r}: not a regular expression ({error})") from error
    part = None if found is None else found[1 if found.re.groups else 0]
    if not part:
        raise RecipeError(f"{path}: the group {group!r} finds no part in this path: correct it, or leave the file out")
    return part


def _below_source(item: Item) -> str:
    if not isinstance(item.frame, (str, os.PathLike)):
        return item.name
    path = Path(item.frame)
    below = path.relative_to(item.source) if path.is_relative_to(item.source) else path
    return below.as_posix() if below.parts else path.as_posix()


def _text(name: str) -> str:
    """A file's name can be any bytes, a recipe's words cannot."""
    return name.encode("utf-8", "backslashreplace").decode()
