"""Leaving one out where words are corrected, without an engine run for each: a score of words alone is a formula."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np

from clipspect.base.progress import Progress
from clipspect.inspection.answered import Known
from clipspect.inspection.calibrate import Rates
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.photographs import Photograph, short_content
from clipspect.inspection.result import decide
from clipspect.recipes.promise import limits_from_scores
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.text_correction import corrected, words_scores

_EQUAL = 1e-4  # the formula is the graph's score: on every photograph at hand


def correct(recipe: Recipe, parts: Sequence[Known]) -> Recipe:
    """The recipe with text features that know these parts."""
    embeddings = np.array([part.embedding for part in parts], np.float64)
    contents = [short_content(part.photograph.content) for part in parts]
    return corrected(recipe, embeddings, np.array([part.defective for part in parts]), contents)


def words_verdicts(
    inspector: Inspector,
    every: Recipe,
    parts: Sequence[Known],
    judged: Sequence[Known],
    photographs: Sequence[Photograph],
    rates: Rates,
    progress: Progress,
) -> list[str | None] | None:
    """Verdicts of the judged parts, each by words that know all other parts, at limits of their own; whether a frame is
    valid says `every`, which knows them all. None where the graph's score is not the formula's.
    """
    rows, scores = [], []
    items = [photograph.item for photograph in photographs]
    with contextlib.closing(inspector.stream(items)) as outcomes:
        for done, outcome in enumerate(outcomes, 1):
            result = outcome.require()
            rows.append(result.embedding)
            scores.append(result.score)
            progress("embeddings of good parts", done, len(items))
    good, answered = (np.array(found, np.float64) for found in (rows, [part.embedding for part in parts]))
    expected = np.array([*scores, *(part.score for part in parts)])
    if np.abs(words_scores(inspector.recipe, np.concatenate([good, answered])) - expected).max() > _EQUAL:
        return None
    names, owners = np.unique([photograph.part for photograph in photographs], return_inverse=True)
    verdicts: list[str | None] = []
    with inspector.with_recipe(every, verdicts=True) as judging:
        for number, part in enumerate(judged):
            progress("leaving one out: words", number, len(judged))
            apart = correct(inspector.recipe, [other for other in parts if other is not part])
            largest = np.zeros(len(names))
            np.maximum.at(largest, owners, words_scores(apart, good))
            limits = limits_from_scores(largest, *vars(rates).values(), anyway=True)
            invalid = judging.inspect(part.photograph.item.frame).verdict == "invalid"
            score = float(words_scores(apart, np.array([part.embedding], np.float64))[0])
            verdicts.append("invalid" if invalid else decide(score, limits))
    progress("leaving one out: words", len(judged), len(judged))
    return verdicts
