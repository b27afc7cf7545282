"""What learning begins with: a recipe that was calibrated, and the parts that its limits came from."""

from __future__ import annotations

from collections.abc import Sequence

from clipspect.base.errors import RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.inspection.calibrate import Rates
from clipspect.inspection.photographs import Photograph, short_content
from clipspect.recipes.calibration import Calibration
from clipspect.recipes.limits import Limits
from clipspect.recipes.recalibrate import asked_before
from clipspect.recipes.recipe import Recipe


def required(bundle: Bundle, recipe: Recipe) -> tuple[Calibration, Limits]:
    """What the recipe's limits were made of. Raises RecipeError where nothing can be learned beside it."""
    calibration, limits = recipe.calibration, recipe.limits
    again = f"clipspect calibrate {bundle.path} {recipe.name!r} --good FOLDER"
    if limits is None or calibration is None or calibration.estimate:
        raise RecipeError(
            f"recipe {recipe.name!r} was not calibrated on good parts, which learning begins with: {again}"
        )
    if calibration.by_hand:
        raise RecipeError(
            f"the limits of recipe {recipe.name!r} were given by hand, and learning finds others: {again}"
        )
    if not all(part.contents for part in calibration.parts):
        raise RecipeError(
            f"recipe {recipe.name!r} does not say what the parts show that it was calibrated on, so that none could be "
            f"told from answered ones: {again}"
        )
    return calibration, limits


def calibrating(name: str, calibration: Calibration, photographs: Sequence[Photograph]) -> list[Photograph]:
    """Those of the parts that limits came from. Others could have been chosen by what was said of them.

    Raises RecipeError where not all are there.
    """
    wanted = {content for part in calibration.parts if not part.struck for content in part.contents}
    found = [photograph for photograph in photographs if short_content(photograph.content) in wanted]
    if len(found) < len(wanted):
        raise RecipeError(
            f"recipe {name!r} was calibrated on {len(wanted)} photographs, and {len(found)} of them are in --good: new "
            "limits come from the same parts, give all of their photographs"
        )
    return found


def rates_of(limits: Limits) -> Rates:
    """Those that were asked for before."""
    return Rates(**asked_before(limits))
