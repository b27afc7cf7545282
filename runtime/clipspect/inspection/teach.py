"""Teaching: photographs of good parts in, a recipe with limits out. Some become references, the rest calibrates."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import RecipeError
from clipspect.base.progress import Progress, quiet
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.inspection_graph import InspectionGraph
from clipspect.bundle.precision import open_graph
from clipspect.engines.graph import BOTH, FEATURES, IMAGE, IMAGE_EMBEDDING, PHOTOS, TEXT_FEATURES, WORDS
from clipspect.frame.decode import FrameLike
from clipspect.frame.item import Item
from clipspect.frame.prepare import prepare
from clipspect.host.system import usable_cores
from clipspect.inspection.calibrate import Pictures, calibrate
from clipspect.inspection.load import load
from clipspect.inspection.photographs import Photograph, read_photographs, refuse_equal
from clipspect.recipes.galleries import blank_references
from clipspect.recipes.gallery import thin
from clipspect.recipes.judge import choose_judge
from clipspect.recipes.make import make_recipe
from clipspect.recipes.promise import CONFIDENCE, FALSE_REJECT_RATE, UNCERTAIN, require_rates
from clipspect.recipes.recipe import Recipe, check_recipe_name
from clipspect.recipes.words import recipe_to_take_words_from

REFERENCES = 16  # by default; more cost time on every frame
_CANDIDATES = 3  # of so many good parts one can become a reference
_COMPARED = 2000  # photographs
_ALIKE = 0.15  # of the median difference between two photographs


@dataclass(frozen=True, eq=False)
class Taught:
    """A recipe with its limits, and what became of the photographs."""

    recipe: Recipe = field(repr=False)
    references: tuple[str, ...]  # files that are in its gallery
    left_aside: int  # photographs of parts that references could have been chosen from: they would calibrate too low
    alike: tuple[str, str] | None  # two that look nearly the same: perhaps one part, which must count once
    map_range: tuple[float, float]
    caught: dict[str, int] = field(default_factory=dict)  # by judge that was tried: defective parts that fail


def teach(
    bundle: str | os.PathLike[str],
    name: str,
    good: Iterable[Item | FrameLike],
    *,
    object: str | None = None,
    judge: str | None = None,
    defective: Iterable[Item | FrameLike] = (),
    references: int | None = None,
    false_reject_rate: float = FALSE_REJECT_RATE,
    uncertain: float = UNCERTAIN,
    confidence: float = CONFIDENCE,
    group: str | None = None,
    backend: str | None = None,
    pictures: tuple[Pictures, Pictures] | None = None,
    progress: Progress = quiet,
    **options: Any,
) -> Taught:
    """A recipe of good parts' photographs alone, in memory; arguments as `make_recipe` and `calibrate` take them.

    Where the bundle can compare with references, `references` of them (16, or fewer of few) are chosen by k-centre: the
    photographs that differ most from each other. They come from a third of the parts, drawn by chance, and only the
    other two thirds calibrate. Else a part that is like the references would count as good because it was not chosen,
    and the limits would promise too much. A bundle without such a graph, or `references=0`, judges by words alone, and
    all photographs calibrate; `judge` is that of `make_recipe`, and without one, where there are defective parts, every
    judge of the bundle is tried and the one is taken that catches most of them. Too few parts for the rates are taken
    all the same: the promises say what it is worth.
    The words are `object`; without it, of a bundle with a text encoder, the name, else those of its only recipe.
    Raises RecipeError, ImageError, BundleError, BackendError.
    """
    require_rates(false_reject_rate, uncertain, confidence)
    opened = Bundle.open(bundle)
    check_recipe_name(name)
    spec, workers = opened.manifest.image, options.get("threads") or usable_cores()
    photographs = read_photographs(good, spec, group=group, workers=workers, progress=progress)
    refuse_equal(photographs)
    defects = list(defective)
    rates: dict[str, Any] = {"uncertain": uncertain, "confidence": confidence, "group": group}

    def taught(role: str, pictures: tuple[Pictures, Pictures] | None) -> Taught:
        own, engine_options = backend, options
        chosen: list[Photograph] = []
        rest = photographs
        if role != WORDS:
            count, candidates, rest = _split(photographs, references)
            graph = opened.manifest.graphs[role]
            chosen, engine = _farthest(opened, graph, candidates, count, own, options, progress)
            own, engine_options = engine[0], {**options, "device": engine[1]}
        recipe = make_recipe(
            opened,
            name,
            **_words(opened, name, object, role),
            judge=role,
            references=[photograph.item.frame for photograph in chosen],
            backend=own,
            progress=progress,
            **engine_options,
        )
        with load(bundle, recipe, own, verdicts=False, **engine_options) as inspector:
            items = [photograph.item for photograph in rest]
            recipe = calibrate(
                inspector,
                items,
                false_reject_rate=false_reject_rate,
                **rates,
                defective=defects,
                anyway=True,
                pictures=pictures,
                progress=progress,
            )
            map_range = inspector.map_range
        names = tuple(photograph.name for photograph in chosen)
        return Taught(recipe, names, len(photographs) - len(rest) - len(chosen), alike(photographs), map_range)

    usual = _judge(opened, judge, object, references)
    roles = _tried(opened, usual, object, references) if judge is None and defects else [usual]
    if len(roles) == 1:
        return taught(usual, pictures)
    caught = {role: _caught(taught(role, None).recipe) for role in roles}
    best = max(roles, key=lambda role: caught[role])  # of equals the first, which is the usual one
    return dataclasses.replace(taught(best, pictures), caught=caught)


def _tried(bundle: Bundle, usual: str, object: str | None, references: int | None) -> list[str]:
    """The judges that the bundle can and that fit what is given, the usual one first."""
    able = [role for role in (WORDS, PHOTOS, BOTH) if role in bundle.manifest.graphs]
    if object is not None:
        able = [role for role in able if role != PHOTOS]
    if references is not None:
        able = [role for role in able if (role == WORDS) == (references == 0)]
    return list(dict.fromkeys([usual, *able]))


def _caught(recipe: Recipe) -> int:
    """How many of the defective parts are failed by the recipe's limits."""
    limits, calibration = recipe.limits, recipe.calibration
    if limits is None or calibration is None:
        raise AssertionError("a recipe that was calibrated has limits")
    return sum(part.score >= limits.reject for part in calibration.defects)


def _judge(bundle: Bundle, asked: str | None, object: str | None, references: int | None) -> str:
    """What is to judge: by default the bundle's own choice where it can compare with references, else the words."""
    able = bundle.manifest.graphs
    compares = references != 0 and asked != WORDS and (asked is not None or BOTH in able or PHOTOS in able)
    return choose_judge(bundle, asked, words=object is not None, photos=compares)


def _words(bundle: Bundle, name: str, object: str | None, role: str) -> dict[str, Any]:
    """What `make_recipe` is told of the words."""
    text = bundle.manifest.text
    if role == PHOTOS:
        return {}
    if object is None and (bundle.manifest.text_encoder is None or text is None or text.ensemble is None):
        return {"like": recipe_to_take_words_from(bundle, name)}
    return {"object": name if object is None else object}


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


def _split(photographs: Sequence[Photograph], references: int | None) -> tuple[int, list[Photograph], list[Photograph]]:
    """How many references, those that they are chosen from, and those that calibrate: no part is in both."""
    firsts: dict[str, str] = {}  # by part, what decides by chance, and always the same: a digest
    for photograph in photographs:
        firsts[photograph.part] = min(photograph.content, firsts.get(photograph.part, photograph.content))
    drawn = sorted(firsts, key=lambda part: firsts[part])
    most = max(1, len(drawn) // _CANDIDATES)
    count = min(REFERENCES, most) if references is None else references
    if len(drawn) < 2 or count >= len(drawn):
        raise RecipeError(
            f"{len(drawn)} good parts are too few for {count} references and others to calibrate on: give more, or "
            "fewer references"
        )
    candidates = set(drawn[: max(most, count)])
    return (
        count,
        [photograph for photograph in photographs if photograph.part in candidates],
        [photograph for photograph in photographs if photograph.part not in candidates],
    )


def _farthest(
    bundle: Bundle,
    graph: InspectionGraph,
    photographs: Sequence[Photograph],
    count: int,
    backend: str | None,
    options: dict[str, Any],
    progress: Progress,
) -> tuple[list[Photograph], tuple[str, str]]:
    """So many of the photographs by k-centre on what the graph says of them, and the engine's name and device."""
    given: dict[str, npt.NDArray[Any]] = {**blank_references(graph)}
    if (text := graph.inputs.get(TEXT_FEATURES)) is not None:
        given[TEXT_FEATURES] = np.zeros((2, 1, int(text.shape[-1])), np.float32)
        given[TEXT_FEATURES][..., 0] = 1  # any words: features do not depend on them
    outputs = [name for name in graph.outputs if name == IMAGE_EMBEDDING]
    outputs = outputs or [name for name in graph.outputs if name.startswith(FEATURES)]
    spec = bundle.manifest.image
    probe = {IMAGE: np.zeros((1, spec.height, spec.width, 3), np.uint8), **given}
    rows = []
    with open_graph(bundle, graph, backend, probe=probe, **options) as engine:
        for done, photograph in enumerate(photographs, 1):
            pixels = prepare(photograph.item.frame, spec).pixels
            found = engine.run_finite({IMAGE: pixels, **given}, outputs)
            rows.append(
                np.concatenate([found[name].reshape(-1, found[name].shape[-1]).mean(axis=0) for name in outputs])
            )
            progress("choosing references", done, len(photographs))
        ran = engine.name, engine.device
    features = np.stack(rows)
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return [photographs[index] for index in thin(features, count).kept], ran
