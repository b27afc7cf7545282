"""Limits again from the scores that a recipe keeps: other rates are asked for, nothing is scored."""

from __future__ import annotations

import dataclasses

from clipspect.base.errors import RecipeError
from clipspect.recipes.history import with_limits
from clipspect.recipes.limits import Limits
from clipspect.recipes.promise import (
    CONFIDENCE,
    FALSE_REJECT_RATE,
    UNCERTAIN,
    checked_uncertain,
    limits_of_parts,
    percent,
)
from clipspect.recipes.recipe import Recipe


def recalibrated(
    recipe: Recipe,
    *,
    false_reject_rate: float | None = None,
    uncertain: float | None = None,
    confidence: float | None = None,
    anyway: bool = False,
    why: str | None = None,
) -> Recipe:
    """The recipe with limits of the parts that it keeps and that are not struck.

    Rates that are not given are those that were asked for before. What frames must be like stays as it is: it cannot
    be found again without photographs, and for that reason no further part can be struck here.
    Raises RecipeError: no calibration, an estimate, too few parts.
    """
    limits, calibration = recipe.limits, recipe.calibration
    if limits is None or calibration is None or calibration.estimate:
        raise RecipeError(
            f"recipe {recipe.name!r} keeps no scores of good parts: give their photographs with --good PATH"
        )
    before = asked_before(limits)
    rate = _given(false_reject_rate, before["false_reject_rate"])
    sure = _given(confidence, before["confidence"])
    most_uncertain = checked_uncertain(rate, _given(uncertain, max(before["uncertain"], rate)), sure)
    found = limits_of_parts(calibration.parts, rate, most_uncertain, sure, answered=calibration.answered, anyway=anyway)
    count = sum(not part.struck for part in calibration.parts)
    words = f"again from {count} kept scores; asked: at most {percent(rate)} rejected"
    why = why or f"{words}, {percent(most_uncertain)} not passed ({percent(sure)})"
    return with_limits(recipe, found, dataclasses.replace(calibration, by_hand=False), why=why)


def asked_before(limits: Limits) -> dict[str, float]:
    """The rates that limits were made for, by the names of `limits_of_parts`; where they promise nothing, the usual."""
    reject, review = limits.reject_promise, limits.review_promise
    return {
        "false_reject_rate": FALSE_REJECT_RATE if reject is None else reject.asked,
        "uncertain": UNCERTAIN if review is None else review.asked,
        "confidence": CONFIDENCE if reject is None else reject.confidence,
    }


def _given(value: float | None, before: float) -> float:
    return before if value is None else value
