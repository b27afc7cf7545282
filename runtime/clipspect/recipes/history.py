"""A recipe's limits change, and its history says when, by whom, from what, to what and why."""

from __future__ import annotations

import dataclasses
import getpass
import platform

from clipspect.base import clock
from clipspect.recipes.calibration import Calibration, LimitsChange
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import Recipe


def with_limits(
    recipe: Recipe, limits: Limits | None, calibration: Calibration | None, *, why: str, who: str | None = None
) -> Recipe:
    """The recipe with these limits, and the change in its history; `who` is this user on this machine by default.

    What a cascade changes was measured with the limits before, and is forgotten.
    """
    change = LimitsChange(clock.now(), who or this_user(), why, _values(recipe.limits), _values(limits), recipe.digest)
    return dataclasses.replace(
        recipe,
        limits=limits,
        calibration=calibration,
        history=(*recipe.history, change),
        windows=None if recipe.windows is None else recipe.windows.unmeasured,
    )


def made_again(recipe: Recipe, old: Recipe, *, why: str) -> Recipe:
    """A recipe in the place of an old one: the history goes on, and says where limits went."""
    recipe = dataclasses.replace(recipe, history=old.history)
    if old.limits is None:
        return recipe
    gone = with_limits(dataclasses.replace(recipe, limits=old.limits), None, None, why=why)
    return dataclasses.replace(recipe, history=gone.history)


def digests_before(recipe: Recipe) -> set[str]:
    """Of the recipe and of what it was until its limits changed, back to where it was made."""
    found = {recipe.digest}
    for change in reversed(recipe.history):
        if change.new is None:  # made again: another recipe
            break
        found.add(change.before)
    return found - {""}


def this_user() -> str:
    """USER@HOST."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # no account of this number, as in many containers
        user = "unknown"
    return f"{user}@{platform.node() or 'unknown'}"


def _values(limits: Limits | None) -> dict[str, float | None] | None:
    return None if limits is None else {"review": limits.review, "reject": limits.reject, "map": limits.map}
