"""A gallery grows: rows of further good parts join those that a recipe has, which stay as they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import ImageError, RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.precision import open_graph
from clipspect.engines.graph import IMAGE, REFERENCE, TEXT_FEATURES
from clipspect.frame.decode import FrameLike
from clipspect.frame.views import same_aspect
from clipspect.recipes.galleries import GalleryMaker, blank_references
from clipspect.recipes.gallery import Array
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.recipe_file import MAX_BYTES
from clipspect.recipes.references import read_references, reference_sizes, size_words
from clipspect.recipes.shelf import serving


@dataclass(frozen=True, eq=False)
class AddedReference:
    """A photograph that is to join: its rows by gallery, each (n, D), and what a recipe says of its file."""

    rows: dict[str, Array]
    file: dict[str, str]


def require_growing(recipe: Recipe) -> None:
    """Raises RecipeError for a recipe that keeps no rows of references, or does not say whose they are."""
    galleries = (recipe.references or {}).get("galleries", {})
    if not galleries:
        raise RecipeError(f"recipe {recipe.name!r} keeps no gallery that a good part could join")
    if not all("kept" in gallery for gallery in galleries.values()):
        raise RecipeError(f"recipe {recipe.name!r} does not say which rows are of which reference: make it again")
    if recipe.region_of_interest is not None or recipe.tiling is not None:
        raise RecipeError(
            f"recipe {recipe.name!r} judges a region of interest or tiles, and rows of whole frames are none of these: "
            "make it again with the part among its references"
        )


def added_references(
    bundle: Bundle, recipe: Recipe, frames: Sequence[FrameLike], backend: str | None, **options: Any
) -> list[AddedReference]:
    """What these photographs would add, in their order. Raises RecipeError, ImageError, BackendError."""
    require_growing(recipe)
    references = recipe.references or {}
    turned = references.get("rotations", 1) > 1
    photos = read_references(frames, bundle.manifest.image, rotations=turned)
    if photos is None:
        return []
    known = reference_sizes(references)
    if known and not same_aspect(photos.sizes[0], known[0]):
        raise ImageError(
            f"a good part of {size_words(photos.sizes[0])} cannot join references of {size_words(known[0])}: they are "
            "of another aspect"
        )
    graph = serving(bundle, recipe)
    words = {TEXT_FEATURES: recipe.text_features} if TEXT_FEATURES in recipe.tensors else {}
    given: dict[str, Array] = {**words, **blank_references(graph)}
    probe: dict[str, npt.NDArray[Any]] = {IMAGE: photos[0][None], **given}
    with open_graph(bundle, graph, backend, probe=probe, **options) as engine:
        parts = list(GalleryMaker(photos, graph, engine, given, photos.owners).features())
    rows = {name: np.concatenate([part[name] for part in parts]) for name in graph.galleries}  # (images, rows, D)
    dims = {name: found.shape[-1] for name, found in rows.items()}
    of_each = {
        name: found.reshape(len(photos.frames), -1, dims[name]) for name, found in rows.items()
    }  # a photo's turns together
    return [
        AddedReference({name: found[number] for name, found in of_each.items()}, photos.files[number])
        for number in range(len(photos.frames))
    ]


def with_references(recipe: Recipe, added: Sequence[AddedReference]) -> Recipe:
    """The recipe with these at the end of its galleries, all of their rows. Raises RecipeError for too large a one."""
    if not added:
        return recipe
    require_growing(recipe)
    references: dict[str, Any] = dict(recipe.references or {})
    tensors, galleries = dict(recipe.tensors), {}
    for name, gallery in references["galleries"].items():
        more = [reference.rows[name] for reference in added]
        count = sum(map(len, more))
        tensors[REFERENCE + name] = np.concatenate([tensors[REFERENCE + name], *more])
        galleries[name] = {
            **gallery,
            "rows": gallery["rows"] + count,
            "of": gallery["of"] + count,
            "kept": [*gallery["kept"], *map(len, more)],
        }
        if "places" in gallery:  # of a thinned gallery: of each row which of its photograph's it is
            galleries[name]["places"] = [*gallery["places"], *(place for rows in more for place in range(len(rows)))]
    size = sum(value.nbytes for value in tensors.values())
    if size > MAX_BYTES:
        raise RecipeError(
            f"recipe {recipe.name!r} would hold {size / 1e6:.0f} MB with these references, and at most "
            f"{MAX_BYTES / 1e6:.0f} are read: make it again from fewer, or thinned with --gallery-size"
        )
    files = [*references["files"], *(reference.file for reference in added)]
    grown = {**references, "galleries": galleries, "files": files, "count": len(files)}
    return dataclasses.replace(recipe, tensors=tensors, references=grown)
