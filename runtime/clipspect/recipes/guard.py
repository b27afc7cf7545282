"""The guard of limits: they speak of what scored them. With another engine or precision they are widened, or refused.

docs/bundle-format.md specifies the rule, which the C++ runtime follows as well.
"""

from __future__ import annotations

import dataclasses

from clipspect.base.errors import RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.inspection_graph import InspectionGraph
from clipspect.bundle.precision import allowed_difference, has_passed
from clipspect.bundle.precision_record import LIMITS as MEASURABLE
from clipspect.engines.engine import registry
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.region import digest_of


def limits_in_use(
    recipe: Recipe, bundle: Bundle, graph: InspectionGraph, backend: str, device: str, precision: str
) -> Limits | None:
    """The limits that judge what this engine scores with the recipe's graph; None where the recipe has none.

    Limits that were given by hand, and those that this engine calibrated, are as they are. Others are widened by the
    band, the sum of what both engines may differ from the reference: `review` is lowered by it, `reject` and `map` are
    raised. So what passes or fails here was passed or failed there, what lies between is uncertain, and `reject` and
    `map` keep their promise; `review` has none then. Raises RecipeError where the recipe was calibrated with another
    bundle or other tensors, which its checks of frames belong to as well, or where nothing is known of one of the two
    engines.
    """
    limits, calibration = recipe.limits, recipe.calibration
    if limits is None or calibration is None:
        return limits
    scorer = calibration.scorer
    if scorer.bundle != bundle.digest or scorer.tensors != recipe.tensors_digest:
        what = "bundle" if scorer.bundle != bundle.digest else "references or words"
        raise RecipeError(
            f"recipe {recipe.name!r}: its limits were calibrated with another {what} than this: calibrate it again: "
            f"clipspect calibrate {bundle.path} {recipe.name!r} --good FOLDER"
        )
    if scorer.region != digest_of(recipe.region_of_interest):
        raise RecipeError(
            f"recipe {recipe.name!r}: its limits were calibrated with another region of interest than it has: "
            f"calibrate it again: clipspect calibrate {bundle.path} {recipe.name!r} --good FOLDER"
        )
    there, here = (scorer.backend, scorer.device, scorer.precision), (backend, device, precision)
    if calibration.by_hand or there == here:
        return limits
    band = 0.0
    for engine in (there, here):
        if not has_passed(bundle, *engine):
            measure = f", or measure it: clipspect verify --backend {engine[0]} --precision {engine[2]} --record"
            raise RecipeError(
                f"recipe {recipe.name!r}: its limits were calibrated with {_words(*there)} and say nothing of "
                f"{_words(*here)}, for there is no record of what {_words(*engine)} costs: calibrate again with what "
                f"inspects{measure if engine[2] in MEASURABLE else ''}"
            )
        band += allowed_difference(bundle, graph, *engine)
    return dataclasses.replace(
        limits,
        review=limits.review - band,
        reject=limits.reject + band,
        map=None if limits.map is None else limits.map + band,
        review_promise=None,
    )


def calibrating_engine(recipe: Recipe, bundle: Bundle) -> tuple[str | None, dict[str, str]]:
    """The backend that the limits belong to, if it is installed here, and its options; None: any will do."""
    if recipe.limits is None or recipe.calibration is None:
        return None, {}
    scorer = recipe.calibration.scorer
    if not any(engine.name == scorer.backend and engine.installed for engine in registry()):
        return None, {}
    precision = {} if scorer.precision == bundle.manifest.precision else {"precision": scorer.precision}
    return scorer.backend, {"device": scorer.device, **precision}


def guard_words(recipe: Recipe, limits: Limits | None) -> str:
    """What is to be said of limits in use that are not the recipe's own; empty where they are."""
    own, calibration = recipe.limits, recipe.calibration
    if limits is None or own is None or calibration is None or limits == own:
        return ""
    scorer = calibration.scorer
    calibrated_with = _words(scorer.backend, scorer.device, scorer.precision)
    return f"limits of {calibrated_with}, widened by {limits.reject - own.reject:.2g}: calibrate again for exact ones"


def _words(backend: str, device: str, precision: str) -> str:
    return f"{backend} on {device} in {precision}"
