"""Limits and what they are worth, in words for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipspect.recipes.checks import rate_words
from clipspect.recipes.promise import parts_needed, percent

if TYPE_CHECKING:
    from clipspect.recipes.calibration import Calibration
    from clipspect.recipes.limits import Promise
    from clipspect.recipes.recipe import Recipe

Rows = list[tuple[str, str]]

_RANKS = {1: "largest", 2: "2nd largest", 3: "3rd largest"}


def limit_rows(recipe: Recipe) -> Rows:
    """A row for each limit, and what is to be said of all of them."""
    limits, calibration = recipe.limits, recipe.calibration
    if limits is None:
        return [("limits", "none: scores without a verdict; clipspect calibrate finds some from good parts")]
    rows = [
        ("reject from", f"{limits.reject:.6g}{_promised(limits.reject_promise, 'are rejected')}"),
        ("review from", f"{limits.review:.6g}{_promised(limits.review_promise, 'are not passed')}"),
    ]
    if limits.map is not None:
        rows.append(("regions over", f"{limits.map:.6g}{_promised(limits.map_promise, 'show any region')}"))
    if calibration is None or calibration.by_hand:
        return [*rows, ("worth", "nothing is promised: these limits were given by hand")]
    if calibration.estimate:
        parts = f"{len(calibration.parts)} references, each scored without its own rows of the gallery"
        rows.append(("worth", f"nothing is promised: an estimate from the {parts}"))
    if (promise := limits.reject_promise) is not None and not promise.kept:
        rows.append(("worth", too_few_words(promise)))
    return rows


def too_few_words(promise: Promise) -> str:
    """What is said of a limit that fewer parts made than were needed."""
    needed = parts_needed(promise.asked, promise.confidence)
    return (
        f"too few good parts: {percent(promise.asked)} was asked for and needs {needed}; with {promise.parts} it can "
        f"be {percent(promise.rate)}"
    )


def scorer_rows(recipe: Recipe) -> Rows:
    """When and on what limits were calibrated, and the last change of them."""
    rows: Rows = []
    if (calibration := recipe.calibration) is not None:
        scorer, struck = calibration.scorer, sum(part.struck for part in calibration.parts)
        frames = sum(part.frames for part in calibration.parts)
        counted = f"{len(calibration.parts) - struck} good parts, {frames} photographs, {struck} struck"
        if calibration.answered:
            counted += f", {len(calibration.answered)} more answered to be good, which raise limits alone"
        rows.append(("calibrated", f"{calibration.time}, {counted}, {len(calibration.defects)} defective parts beside"))
        where = f"{scorer.backend} on {scorer.device} in {scorer.precision}, clipspect {scorer.version}"
        rows.append(("scored by", f"{where}, bundle {scorer.bundle[:12]}, tensors {scorer.tensors[:12]}"))
    rows.append(("frames", checks_words(calibration)))
    if recipe.history:
        last = recipe.history[-1]
        rows.append(("last change", f"{last.time}, {last.who}: {last.why} ({len(recipe.history)} in all)"))
    return rows


def checks_words(calibration: Calibration | None) -> str:
    """What makes frames invalid."""
    few = "only black and white ones, and those of one colour, are invalid"
    if calibration is None:
        return f"{few}: nothing was calibrated"
    if not calibration.checks:
        return f"{few}: one part says nothing of others"
    missing = ""
    if not calibration.embedding and calibration.scorer.region is not None:
        missing = "; not the image's embedding, which speaks of more than the region of interest"
    elif not calibration.embedding:
        missing = "; not the image's embedding, which this bundle's graphs do not have"
    return f"checked by {', '.join(calibration.checks)}: {rate_words(calibration)}{missing}"


def _promised(promise: Promise | None, what: str) -> str:
    if promise is None:
        return ""
    rank = _RANKS.get(promise.rank, f"{promise.rank}th largest")
    sure = f"{percent(promise.confidence)} sure"
    return f": at most {percent(promise.rate)} of good parts {what} ({sure}; the {rank} of {promise.parts})"
