"""Limits again from the scores that a recipe keeps: parts are struck, other rates asked for, nothing is scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from clipspect.base.errors import RecipeError
from clipspect.recipes.history import with_limits
from clipspect.recipes.promise import CONFIDENCE, FALSE_REJECT_RATE, UNCERTAIN, limits_of_parts, percent, require_rates
from clipspect.recipes.recipe import Recipe


def recalibrated(
    recipe: Recipe,
    *,
    strike: Sequence[str] = (),
    false_reject_rate: float | None = None,
    uncertain: float | None = None,
    confidence: float | None = None,
    anyway: bool = False,
    why: str | None = None,
) -> Recipe:
    """The recipe with limits of the parts that it keeps, less those struck, by part or by the file that was listed.

    Rates that are not given are those that were asked for before. What frames must be like stays as it is.
    Raises RecipeError: no calibration, an estimate, too few parts, a name that none has.
    """
    limits, calibration = recipe.limits, recipe.calibration
    if limits is None or calibration is None or calibration.estimate:
        raise RecipeError(
            f"recipe {recipe.name!r} keeps no scores of good parts: give their photographs with --good PATH"
        )
    rejecting, reviewing = limits.reject_promise, limits.review_promise
    rate = false_reject_rate or (rejecting.asked if rejecting else FALSE_REJECT_RATE)
    most_uncertain = uncertain or (reviewing.asked if reviewing else UNCERTAIN)
    sure = confidence or (rejecting.confidence if rejecting else CONFIDENCE)
    require_rates(rate, most_uncertain, sure)
    named = {name: part.name for part in calibration.parts for name in (part.worst_frame, part.name)}
    if missing := [name for name in strike if name not in named]:
        raise RecipeError(
            f"strike {missing[0]}: recipe {recipe.name!r} keeps no good part of this name: give it as it was listed"
        )
    struck = {named[name] for name in strike}
    parts = tuple(dataclasses.replace(part, struck=part.struck or part.name in struck) for part in calibration.parts)
    count = sum(not part.struck for part in parts)
    found = limits_of_parts(parts, rate, most_uncertain, sure, anyway=anyway)
    words = f"again from {count} kept scores, {len(struck)} more struck; asked: at most {percent(rate)} rejected"
    why = why or f"{words}, {percent(most_uncertain)} not passed ({percent(sure)})"
    return with_limits(recipe, found, dataclasses.replace(calibration, parts=parts), why=why)
