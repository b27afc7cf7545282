"""A cascade is calibrated: its limit from photographs of good parts, and what it changes on all photographs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from clipspect.base.errors import RecipeError
from clipspect.base.progress import Progress
from clipspect.inspection.answer import Answer
from clipspect.inspection.cascade import lowest_limit
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.photographs import Photograph
from clipspect.inspection.window_layout import Bools, layout_of_graph
from clipspect.inspection.window_use import patches_of, saving_region
from clipspect.inspection.windows import PATCH_VALUES, WORK
from clipspect.recipes.on_demand import Cascade, CascadeEffect, OnDemand
from clipspect.recipes.recipe import Recipe

STRIDE = 2
_NOTHING_IS_OVER = 1e9  # as a limit: what the windows that come first say alone


def with_cascade(inspector: Inspector, good: Sequence[Photograph], work: float, progress: Progress) -> Recipe:
    """The inspector's recipe with a cascade that takes at most the share `work` of all windows' work on good parts, in
    the mean; with 1 it gets none. Raises RecipeError, BackendError.
    """
    recipe = inspector.recipe
    if not 0 < work <= 1:
        raise RecipeError(f"cascade: {work:g} of the work: expected a share above 0, up to 1, which is no cascade")
    if work == 1:
        return with_plan(recipe, cascade=None)
    coarse = with_plan(recipe, cascade=Cascade(_NOTHING_IS_OVER, STRIDE))
    graph = inspector.bundle.manifest.windows
    values: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []
    region, needed = saving_region(coarse), list[Bools]()
    with inspector.with_recipe(coarse, verdicts=False, extras=(PATCH_VALUES,)) as plain:
        assert graph is not None  # else no inspector had taken the recipe
        layout = layout_of_graph(graph, inspector.bundle.manifest.image)
        for answer in _answers(plain, good, "windows apart", progress):
            values += list(answer.extras[PATCH_VALUES])
            if region is not None:
                needed.append(patches_of(answer.frame, region, layout))
    limit = lowest_limit(layout, values, STRIDE, work, np.concatenate(needed) if needed else None)
    return with_plan(recipe, cascade=Cascade(limit, STRIDE))


def with_effect(
    inspector: Inspector,
    recipe: Recipe,
    good: Sequence[Photograph],
    defective: Sequence[Photograph],
    progress: Progress,
) -> Recipe:
    """The recipe, whose cascade says what it does to these photographs against all windows: the same limits judge both.

    Raises BackendError.
    """
    assert recipe.windows is not None
    assert recipe.windows.cascade is not None
    works: list[float] = []
    verdicts, regions, largest = 0, 0, 0.0
    photographs = [*good, *defective]
    whole = with_plan(recipe, cascade=None)
    with (
        inspector.with_recipe(recipe, verdicts=True, extras=(WORK,)) as fast,
        inspector.with_recipe(whole, verdicts=True, extras=()) as full,
    ):
        pairs = zip(
            _answers(fast, photographs, "cascade", progress), _answers(full, photographs, "all windows", progress)
        )
        for own, exact in pairs:
            works.append(float(own.extras[WORK].mean()))
            found, expected = fast.finish(own), full.finish(exact)
            verdicts += found.verdict != expected.verdict
            regions += bool(found.regions) != bool(expected.regions)
            largest = max(largest, float(np.abs(own.model_map - exact.model_map).max()))
    effect = CascadeEffect(
        good=len(good),
        defective=len(defective),
        good_work=float(np.mean(works[: len(good)])),
        defective_work=float(np.mean(works[len(good) :])) if defective else None,
        changed_verdicts=verdicts / len(photographs),
        changed_regions=regions / len(photographs),
        largest_difference=largest,
    )
    return with_plan(recipe, cascade=dataclasses.replace(recipe.windows.cascade, effect=effect))


def with_plan(recipe: Recipe, *, cascade: Cascade | None) -> Recipe:
    """The recipe with that cascade, and what it reuses as before."""
    reuse = None if recipe.windows is None else recipe.windows.reuse
    plan = None if cascade is None and reuse is None else OnDemand(cascade, reuse)
    return dataclasses.replace(recipe, windows=plan)


def _answers(
    inspector: Inspector, photographs: Iterable[Photograph], step: str, progress: Progress
) -> Iterator[Answer]:
    listed = list(photographs)
    for done, photograph in enumerate(listed, 1):
        (answer,) = inspector.answer([inspector.prepare(photograph.item.frame)])
        if not isinstance(answer, Answer):
            raise answer
        yield answer
        progress(step, done, len(listed))
