"""Teaching: photographs of good parts in, a recipe with limits out. Some become references, the rest calibrate."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clipspect.base.errors import BackendError, RecipeError
from clipspect.base.progress import Progress, quiet
from clipspect.bundle.bundle import Bundle
from clipspect.engines.graph import BOTH, PHOTOS, WORDS
from clipspect.frame.decode import FrameLike
from clipspect.frame.item import Item
from clipspect.frame.region_of_interest import RegionOfInterest
from clipspect.frame.tiling import Tiling
from clipspect.inspection.calibrate import Pictures, Rates, calibrated
from clipspect.inspection.chosen_references import REFERENCES, TILED_REFERENCES, farthest, split
from clipspect.inspection.load import load, workers_for
from clipspect.inspection.photographs import Photograph, alike, read_photographs, refuse_equal
from clipspect.recipes.defects import defects_of
from clipspect.recipes.judge import JUDGES, choose_judge
from clipspect.recipes.make import make_recipe
from clipspect.recipes.promise import CONFIDENCE, FALSE_REJECT_RATE, checked_uncertain
from clipspect.recipes.recipe import Recipe, check_recipe_name
from clipspect.recipes.words import recipe_to_take_words_from


@dataclass(frozen=True, eq=False)
class Taught:
    """A recipe with its limits, and what became of the photographs."""

    recipe: Recipe = field(repr=False)
    references: tuple[str, ...]  # files that are in its gallery
    left_aside: int  # photographs of parts that references could have been chosen from: they would calibrate too low
    map_range: tuple[float, float]
    alike: tuple[str, str] | None = None  # two that look nearly the same: perhaps one part, which must count once
    caught: dict[str, int] = field(default_factory=dict)  # by judge that was tried: defective parts that fail
    not_tried: dict[str, str] = field(default_factory=dict)  # by judge: why it could not be


def teach(
    bundle: Bundle | str | os.PathLike[str],
    name: str,
    good: Iterable[Item | FrameLike],
    *,
    object: str | None = None,
    judge: str | None = None,
    defective: Iterable[Item | FrameLike] = (),
    references: int | None = None,
    tiling: Tiling | None = None,
    false_reject_rate: float = FALSE_REJECT_RATE,
    uncertain: float | None = None,
    confidence: float = CONFIDENCE,
    group: str | None = None,
    region_of_interest: RegionOfInterest | None = None,
    backend: str | None = None,
    pictures: Mapping[str, tuple[Pictures, Pictures]] | None = None,
    progress: Progress = quiet,
    **options: Any,
) -> Taught:
    """A recipe of good parts' photographs alone, in memory; arguments as `make_recipe` and `calibrate` take them.

    Where the bundle can compare with references, `references` of them (16, in tiles 4, or fewer of few) are chosen by
    k-centre: the photographs that differ most from each other. They come from a third of the parts, drawn by chance,
    and only the other two thirds calibrate. Else a part that is like the references would count as good because it was
    not chosen, and the limits would promise too much. What frames must be like is learned from all. A bundle without
    such a graph, or `references=0`, judges by words alone, and all photographs calibrate; `judge` is that of
    `make_recipe`, and without one, where there are defective parts, every judge of the bundle is tried and the one is
    taken that fails most of them; `not_tried` says which could not be, and why. Too few parts for the rates are taken
    all the same: the promises say what it is worth. `pictures` are those of `calibrate`, by judge.
    The words are `object`; without it, of a bundle with a text encoder, the name, else those of its only recipe.
    Raises RecipeError, ImageError, BundleError, BackendError.
    """
    uncertain = checked_uncertain(false_reject_rate, uncertain, confidence)
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    check_recipe_name(name)
    usual = _judge(opened, judge, object, references)
    spec, workers = opened.manifest.image, workers_for(options)
    photographs, defects = (
        read_photographs(frames, spec, group=group, workers=workers, progress=progress) for frames in (good, defective)
    )
    refuse_equal(photographs, defects)
    lesson = _Lesson(
        opened, name, object, photographs, defects, references,
        Rates(false_reject_rate, uncertain, confidence), group, region_of_interest, backend, options, progress, tiling,
    )  # fmt: skip
    roles = _tried(opened, usual, object, references) if judge is None and defects else [usual]
    taught: dict[str, Taught] = {}
    refused: dict[str, RecipeError | BackendError] = {}
    for role in roles:
        try:
            taught[role] = lesson.taught(role, None if pictures is None else pictures[role])
        except (RecipeError, BackendError) as error:
            refused[role] = error
    if not taught:
        raise refused[usual]
    caught = {role: _caught(found.recipe) for role, found in taught.items()} if len(roles) > 1 else {}
    best = max(taught, key=lambda role: caught.get(role, 0))  # of equals the first, which is the usual one
    not_tried = {role: str(error) for role, error in refused.items()}
    return dataclasses.replace(taught[best], alike=alike(photographs), caught=caught, not_tried=not_tried)


@dataclass(frozen=True, eq=False)
class _Lesson:
    """What is taught, whatever is to judge."""

    bundle: Bundle
    name: str
    object: str | None
    photographs: Sequence[Photograph]
    defects: Sequence[Photograph]
    references: int | None
    rates: Rates
    group: str | None
    region: RegionOfInterest | None
    backend: str | None
    options: dict[str, Any]
    progress: Progress
    tiling: Tiling | None

    def taught(self, role: str, pictures: tuple[Pictures, Pictures] | None) -> Taught:
        """With this judge. Raises RecipeError, ImageError, BackendError."""
        backend, options = self.backend, self.options
        chosen: list[Photograph] = []
        candidates: list[Photograph] = []
        rest = list(self.photographs)
        if role != WORDS:
            usual = REFERENCES if self.tiling is None else TILED_REFERENCES
            count, candidates, rest = split(self.photographs, self.references, usual=usual)
            graph = self.bundle.manifest.graphs[role]
            chosen, ran = farthest(self.bundle, graph, candidates, count, backend, options, self.progress, self.region)
            backend, options = ran[0], {**options, "device": ran[1]}
        recipe = make_recipe(
            self.bundle,
            self.name,
            **_words(self.bundle, self.name, self.object, role),
            judge=role,
            references=[photograph.item.frame for photograph in chosen],
            region_of_interest=self.region,
            tiling=self.tiling,
            backend=backend,
            progress=self.progress,
            **options,
        )
        with load(self.bundle, recipe, backend, verdicts=False, **options) as inspector:
            recipe = calibrated(
                inspector,
                rest,
                self.defects,
                others=candidates,
                rates=self.rates,
                group=self.group,
                anyway=True,
                pictures=pictures,
                progress=self.progress,
            )
            map_range = inspector.map_range
        return Taught(recipe, tuple(photograph.name for photograph in chosen), len(candidates) - len(chosen), map_range)


def _tried(bundle: Bundle, usual: str, object: str | None, references: int | None) -> list[str]:
    """The judges that the bundle can and that fit what is given, the usual one first."""
    able = [role for role in JUDGES if role in bundle.manifest.graphs]
    if object is not None:
        able = [role for role in able if role != PHOTOS]
    if references is not None:
        able = [role for role in able if (role == WORDS) == (references == 0)]
    return list(dict.fromkeys([usual, *able]))


def _caught(recipe: Recipe) -> int:
    """How many of the defective parts are failed by the recipe's limits."""
    found = defects_of(recipe)
    if found is None:
        raise AssertionError("a recipe that was calibrated has limits")
    return found.failed


def _judge(bundle: Bundle, asked: str | None, object: str | None, references: int | None) -> str:
    """What is to judge: by default the bundle's own choice where it can compare with references, else the words.

    Raises RecipeError, also where references are asked for and words alone would judge.
    """
    able = bundle.manifest.graphs
    compares = references != 0 and asked != WORDS and (asked is not None or BOTH in able or PHOTOS in able)
    found = choose_judge(bundle, asked, words=object is not None, photos=compares)
    if references and found == WORDS:
        why = "words alone are to judge" if asked == WORDS else "this bundle has no graph to compare with references"
        raise RecipeError(f"{references} references are asked for, and {why}: leave --references out")
    return found


def _words(bundle: Bundle, name: str, object: str | None, role: str) -> dict[str, Any]:
    """What `make_recipe` is told of the words."""
    text = bundle.manifest.text
    if role == PHOTOS:
        return {}
    if object is None and (bundle.manifest.text_encoder is None or text is None or text.ensemble is None):
        return {"like": recipe_to_take_words_from(bundle, name)}
    return {"object": name if object is None else object}
