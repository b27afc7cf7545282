"""Recipes made on the box: words through the bundle's text encoder, references through its few-shot graph."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy.typing as npt

from clipspect.base.errors import RecipeError
from clipspect.base.progress import Progress, quiet
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import InspectionGraph
from clipspect.bundle.precision import open_graph
from clipspect.engines.graph import BOTH, IMAGE, REFERENCE, TEXT_FEATURES
from clipspect.frame.decode import FrameLike
from clipspect.recipes.galleries import MAP_LIMITS, Gallery, GalleryMaker, blank_references, rows_of_a_photo
from clipspect.recipes.recipe import Recipe, check_recipe_name
from clipspect.recipes.recipe_file import MAX_BYTES
from clipspect.recipes.references import References, read_references
from clipspect.recipes.shelf import serving
from clipspect.recipes.text_encoder import refuse_fixed_shapes
from clipspect.recipes.words import WordsRequest, recipe_to_take_words_from, words_of_prompts, words_of_recipe


def make_recipe(
    bundle: Bundle | str | os.PathLike[str],
    name: str,
    *,
    object: str | None = None,
    normal: Sequence[str] = (),
    anomalous: Sequence[str] = (),
    ensemble: str | os.PathLike[str] | None = None,
    fusion: str | None = None,
    like: str | None = None,
    references: Iterable[FrameLike] = (),
    gallery_size: int | None = None,
    backend: str | None = None,
    progress: Progress = quiet,
    **options: Any,
) -> Recipe:
    """A recipe for a bundle, in memory: `write_recipe` writes it, `clipspect.load(bundle, recipe)` takes it.

    Words: `object` (default: the name) in the bundle's own prompt ensemble, or in `ensemble`, the name of a shipped one
    or a TOML file; or prompts of your own, `normal` and `anomalous`. `fusion` is "mean" (the default) or "max". `like`
    takes the words of that recipe instead; references without any words get those of the recipe that is there under the
    name, else of the bundle's only one.
    `references` are photos of good parts, of one size: paths, PIL images or uint8 arrays. Each gallery keeps at most
    `gallery_size` rows of them; the default is all. `progress(step, done, total)` is called as the work goes on;
    `backend` and `options` are those of `clipspect.load`, but for the device tensorrt, whose engines have fixed shapes;
    a `precision` is not for the words. Raises BundleError, RecipeError, ImageError, BackendError.
    """
    refuse_fixed_shapes(options)
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    check_recipe_name(name)
    asked = WordsRequest(object, normal, anomalous, ensemble, fusion)
    if asked and like is not None:
        raise RecipeError(f"words are given, and those of recipe {like!r} asked for: leave one of the two out")
    photos = read_references(references, opened.manifest.image)
    _check_references(opened, photos, gallery_size)
    if not asked and (like is not None or photos is not None):
        words = words_of_recipe(opened, recipe_to_take_words_from(opened, name, like))
    else:
        words = words_of_prompts(opened, asked, name, backend=backend, progress=progress, **options)
    recipe = Recipe(
        name=name,
        method=opened.manifest.method,
        object=words.object,
        encoder_sha256=opened.manifest.backbone.weights.encoder_sha256,
        tensors={TEXT_FEATURES: words.features},
        prompts=words.prompts,
        parameters=opened.manifest.parameters,
    )
    if photos is not None:
        few_shot = _few_shot(opened)
        blank = blank_references(few_shot)
        probe: dict[str, npt.NDArray[Any]] = {IMAGE: photos.pixels[:1], **recipe.tensors, **blank}
        with open_graph(opened, few_shot, backend, probe=probe, **options) as engine:
            maker = GalleryMaker(photos.pixels, few_shot, engine, words.features, blank, progress)
            recipe = _with_references(recipe, photos, maker, gallery_size)
    serving(opened, recipe)
    return recipe


def _few_shot(bundle: Bundle) -> InspectionGraph:
    if BOTH not in bundle.manifest.graphs:
        raise RecipeError(
            f"{bundle.path}: the bundle has no few-shot graph to compare with references: export it with --few-shot"
        )
    return bundle.manifest.graphs[BOTH]


def _check_references(bundle: Bundle, photos: References | None, gallery_size: int | None) -> None:
    """Before minutes of work: is there a graph for the references, and will the recipe be small enough to be read?"""
    if gallery_size is not None and (isinstance(gallery_size, bool) or gallery_size < 1):
        raise RecipeError(f"gallery size: expected a number of rows from 1, found {gallery_size!r}")
    if photos is None:
        if gallery_size is not None:
            raise RecipeError("a gallery size without references thins nothing: add --references PATH")
        return
    size = 0
    for rows, dim in rows_of_a_photo(_few_shot(bundle)).values():
        every = rows * len(photos)
        size += 4 * dim * (every if gallery_size is None else min(every, gallery_size))
    if size > MAX_BYTES:
        raise RecipeError(
            f"{len(photos)} references make galleries of {size / 1e6:.0f} MB, a recipe holds at most "
            f"{MAX_BYTES / 1e6:.0f}: thin them with --gallery-size N, or take fewer"
        )


def _with_references(recipe: Recipe, photos: References, maker: GalleryMaker, gallery_size: int | None) -> Recipe:
    """The recipe with the galleries of the photos, and what is to be said of them."""
    galleries = maker.galleries(gallery_size)
    limits, effect = maker.map_limits(galleries), maker.effect(galleries)
    tensors = {**recipe.tensors, **{name: gallery.kept for name, gallery in galleries.items()}}
    described: dict[str, Any] = {
        "count": len(photos),
        "size": list(photos.size),
        "files": photos.files,
        "galleries": {name.removeprefix(REFERENCE): _described(gallery) for name, gallery in galleries.items()},
    }
    if limits is not None:
        tensors[MAP_LIMITS] = limits
        described[MAP_LIMITS] = limits.tolist()
    if effect is not None:
        described["thinning"] = dataclasses.asdict(effect)
    return dataclasses.replace(recipe, tensors=tensors, references=described)


def _described(gallery: Gallery) -> dict[str, Any]:
    return {
        "rows": len(gallery.kept),
        "kept": gallery.kept_of_each.tolist(),
        "of": len(gallery.rows),
        "largest_distance": gallery.thinning.largest_distance,
        "mean_distance": gallery.thinning.mean_distance,
    }
