"""Recipes made on the box: words through the text encoder, photos of good parts through a graph that compares."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any

from clipspect.base.errors import RecipeError
from clipspect.base.progress import Progress, quiet
from clipspect.bundle.bundle import Bundle
from clipspect.engines.graph import PHOTOS, TEXT_FEATURES, WORDS
from clipspect.frame.decode import FrameLike
from clipspect.frame.region_of_interest import RegionOfInterest
from clipspect.frame.tiling import Tiling
from clipspect.frame.viewing import Viewing
from clipspect.recipes.judge import choose_judge
from clipspect.recipes.memory import remember, require_room
from clipspect.recipes.recipe import Recipe, check_recipe_name
from clipspect.recipes.references import read_references
from clipspect.recipes.region import seen_in, with_region
from clipspect.recipes.shelf import serving
from clipspect.recipes.text_encoder import refuse_fixed_shapes
from clipspect.recipes.words import Words, WordsRequest, recipe_to_take_words_from, words_of_prompts, words_of_recipe


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
    judge: str | None = None,
    rotations: bool = False,
    gallery_size: int | None = None,
    tiling: Tiling | None = None,
    region_of_interest: RegionOfInterest | None = None,
    backend: str | None = None,
    progress: Progress = quiet,
    **options: Any,
) -> Recipe:
    """A recipe for a bundle, in memory: `write_recipe` writes it, `clipspect.load(bundle, recipe)` takes it.

    Words: `object` (default: the name) in the bundle's own prompt ensemble, or in `ensemble`, the name of a shipped one
    or a TOML file; or prompts of your own, `normal` and `anomalous`. `fusion` is "mean" (the default) or "max". `like`
    takes the words of that recipe instead; references without any words get those of the recipe that is there under the
    name, else of the bundle's only one.
    `references` are photos of good parts, of one size: paths, PIL images or uint8 arrays; with `rotations` each is also
    seen in seven turns of 45 degrees. Each gallery keeps at most `gallery_size` rows of them; the default is all.
    Of frames `region_of_interest` is judged, and of a crop references are seen in its box.
    `judge` is "words", "photos" (the references alone, no words) or "both"; the default is "words" without references,
    and with them "both" where the bundle can, else "photos". `progress(step, done, total)` is called as the work goes
    on; `backend` and `options` are those of `clipspect.load`, but for the device tensorrt, whose engines have fixed
    shapes; a `precision` is not for the words. Raises BundleError, RecipeError, ImageError, BackendError.
    """
    refuse_fixed_shapes(options)
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    check_recipe_name(name)
    asked = WordsRequest(object, normal, anomalous, ensemble, fusion)
    if asked and like is not None:
        raise RecipeError(f"words are given, and those of recipe {like!r} asked for: leave one of the two out")
    viewing = Viewing(region_of_interest, tiling)
    photos = read_references(references, opened.manifest.image, rotations=rotations, viewing=viewing)
    role = choose_judge(opened, judge, words=bool(asked) or like is not None, photos=photos is not None)
    require_room(opened, role, photos, gallery_size)
    words: Words | None = None
    if role == PHOTOS:
        pass  # it reads none
    elif not asked and (like is not None or role != WORDS):
        words = words_of_recipe(opened, recipe_to_take_words_from(opened, name, like))
    else:
        words = words_of_prompts(opened, asked, name, backend=backend, progress=progress, **options)
    features = {} if words is None else {TEXT_FEATURES: words.features}
    recipe = Recipe(
        name=name,
        method=opened.manifest.method,
        object=name if words is None else words.object,
        encoder_sha256=opened.manifest.backbone.weights.encoder_sha256,
        tensors=features,
        prompts={} if words is None else words.prompts,
        parameters=opened.manifest.parameters,
        tiling=tiling,
        region_of_interest=region_of_interest,
    )
    if photos is not None and role != WORDS:
        found = remember(opened, role, photos, features, gallery_size, backend=backend, progress=progress, **options)
        described = {**found.described, **seen_in(region_of_interest, tiling)}
        recipe = dataclasses.replace(recipe, tensors={**recipe.tensors, **found.tensors}, references=described)
    serving(opened, recipe)
    return recipe


def with_photographs_in(
    bundle: Bundle,
    recipe: Recipe,
    region: RegionOfInterest | None,
    references: Iterable[FrameLike],
    *,
    backend: str | None = None,
    progress: Progress = quiet,
    **options: Any,
) -> Recipe:
    """The recipe with a region of interest, and photographs of good parts that are seen as frames then are.

    Its words, its judge, its turns and the size of its galleries stay. Raises what `make_recipe` raises.
    """
    known = recipe.references or {}
    if not recipe.has_references:
        raise RecipeError(f"recipe {recipe.name!r} is judged by words alone: leave the references out")
    viewing = Viewing(region, recipe.tiling)
    photos = read_references(references, bundle.manifest.image, rotations="rotations" in known, viewing=viewing)
    if photos is None:
        raise RecipeError("there is no photograph of a good part: give some")
    thinned = [gallery["rows"] for gallery in known.get("galleries", {}).values() if gallery["rows"] < gallery["of"]]
    size = max(thinned, default=None)
    features = {name: value for name, value in recipe.tensors.items() if name == TEXT_FEATURES}
    found = remember(bundle, recipe.judge, photos, features, size, backend=backend, progress=progress, **options)
    changed = with_region(dataclasses.replace(recipe, tensors=features, references=None), region)
    described = {**found.described, **seen_in(region, recipe.tiling)}
    changed = dataclasses.replace(changed, tensors={**features, **found.tensors}, references=described)
    serving(bundle, changed)
    return changed
