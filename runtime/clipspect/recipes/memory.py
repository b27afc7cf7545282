"""Photos of good parts become a recipe's tensors: galleries, or the subspace that their rows lie in."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from clipspect.base.errors import RecipeError
from clipspect.base.progress import Progress
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.precision import open_graph
from clipspect.engines.graph import COMPONENTS, IMAGE, MEAN, REFERENCE, SPREAD, WORDS
from clipspect.recipes.galleries import MAP_LIMITS, GalleryMaker, blank_references
from clipspect.recipes.gallery import Array, Gallery
from clipspect.recipes.recipe_file import MAX_BYTES, Tensors
from clipspect.recipes.references import References
from clipspect.recipes.subspace import find_subspace


@dataclass(frozen=True, eq=False)
class Memory:
    """What a recipe holds of the photos, and what it says of them."""

    tensors: dict[str, Array]
    described: dict[str, Any]


def require_room(bundle: Bundle, role: str, photos: References | None, gallery_size: int | None) -> None:
    """Before minutes of work: will the recipe be small enough to be read? Raises RecipeError."""
    if gallery_size is not None and (isinstance(gallery_size, bool) or gallery_size < 1):
        raise RecipeError(f"gallery size: expected a number of rows from 1, found {gallery_size!r}")
    if photos is None or role == WORDS:
        if gallery_size is not None:
            raise RecipeError("a gallery size without references thins nothing: add --references PATH")
        return
    graph = bundle.manifest.graphs[role]
    if gallery_size is not None and not graph.galleries:
        raise RecipeError("this bundle keeps a subspace and no gallery: leave --gallery-size out")
    size = 0
    for rows, dim in (graph.features[name] for name in graph.galleries):
        every = rows * (len(photos) if gallery_size or photos.images_kept is None else photos.images_kept)
        size += 4 * dim * (every if gallery_size is None else min(every, gallery_size))
    if size > MAX_BYTES:
        raise RecipeError(
            f"{len(photos)} references make galleries of {size / 1e6:.0f} MB, a recipe holds at most "
            f"{MAX_BYTES / 1e6:.0f}: thin them with --gallery-size N, or take fewer"
        )


def remember(
    bundle: Bundle,
    role: str,
    photos: References,
    words: Tensors,
    gallery_size: int | None,
    *,
    backend: str | None,
    progress: Progress,
    **options: Any,
) -> Memory:
    """The photos through the bundle's graph of that role; `words` are its inputs of them.

    Raises RecipeError, ImageError, BackendError.
    """
    graph = bundle.manifest.graphs[role]
    given: dict[str, Array] = {**words, **blank_references(graph)}
    probe: dict[str, npt.NDArray[Any]] = {IMAGE: photos[0][None], **given}
    with open_graph(bundle, graph, backend, probe=probe, **options) as engine:
        maker = GalleryMaker(
            photos, graph, engine, given, photos.owners, photos.tried, photos.images_kept, progress=progress
        )
        found = _galleries(maker, gallery_size) if graph.galleries else _subspace(maker)
    turned = {"rotations": photos.turns} if photos.turns > 1 else {}
    sizes = [list(size) for size in photos.sizes]
    common = {
        "sizes": sizes,
        "count": len(photos.frames),
        "size": list(photos.sizes[0]),
        "files": photos.files,
        **turned,
    }
    return Memory(found.tensors, {**common, **found.described})


def _galleries(maker: GalleryMaker, size: int | None) -> Memory:
    galleries = maker.galleries(size)
    limits, spread = maker.map_limits(galleries), maker.spread(galleries)
    if spread is not None:
        maker = dataclasses.replace(maker, given={**maker.given, SPREAD: spread})
    effect = maker.effect(galleries)
    tensors = {name: gallery.kept for name, gallery in galleries.items()}
    described: dict[str, Any] = {
        "galleries": {name.removeprefix(REFERENCE): _described(gallery) for name, gallery in galleries.items()}
    }
    for name, value in ((MAP_LIMITS, limits), (SPREAD, spread)):
        if value is not None:
            tensors[name] = value
            described[name] = value.tolist()
    if effect is not None:
        described["thinning"] = dataclasses.asdict(effect)
    return Memory(tensors, described)


def _subspace(maker: GalleryMaker) -> Memory:
    most, width = (int(side) for side in maker.graph.inputs[COMPONENTS].shape)
    ((name, _),) = maker.graph.features.items()
    found = find_subspace((part[name].reshape(-1, width) for part in maker.features()), most)
    described = {"rank": found.rank, "explained": found.explained, "rows": found.rows}
    return Memory({MEAN: found.mean, COMPONENTS: found.components}, {"subspace": described})


def _described(gallery: Gallery) -> dict[str, Any]:
    return {
        "rows": len(gallery.kept),
        "kept": gallery.kept_of_each.tolist(),
        "of": len(gallery.rows),
        "largest_distance": gallery.thinning.largest_distance,
        "mean_distance": gallery.thinning.mean_distance,
        **({"places": gallery.places_of_kept.tolist()} if gallery.is_thinned else {}),
    }
