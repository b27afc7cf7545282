"""What a recipe leaves out of WinCLIP's windows, in words for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipspect.cli.limit_words import Rows

if TYPE_CHECKING:
    from clipspect.recipes.on_demand import CascadeEffect
    from clipspect.recipes.recipe import Recipe


def window_rows(recipe: Recipe) -> Rows:
    """Nothing where all windows are encoded."""
    plan = recipe.windows
    rows = []
    if plan is not None and plan.cascade is not None:
        cascade = plan.cascade
        rows.append(("cascade", f"windows {cascade.stride} patches apart; all where over {cascade.limit:.3g}"))
        rows += _effect_rows(cascade.effect)
    if plan is not None and plan.reuse is not None:
        reuse = plan.reuse
        moved = f"moved by more than {reuse.tolerance} grey levels" if reuse.tolerance else "changed at all"
        rows.append(("reuse", f"windows that have not {moved}; everything is encoded every {reuse.refresh} frames"))
    return rows


def made_again_rows(old: Recipe | None) -> Rows:
    """That a recipe in the place of this one encodes all windows, where this one did not."""
    if old is None or old.windows is None:
        return []
    again = "clipspect reuse, clipspect calibrate --cascade"
    return [("windows", f"all of every frame are encoded, unlike before: {again} ask for fewer")]


def _effect_rows(effect: CascadeEffect | None) -> Rows:
    if effect is None:
        return [("", "what that changes is not known of the recipe as it is: clipspect calibrate --good measures it")]
    defective = ""
    if effect.defective_work is not None:
        defective = f", {effect.defective_work:.0%} on {effect.defective} of defective parts"
    return [
        ("", f"{effect.good_work:.0%} of the work on {effect.good} photographs of good parts{defective}"),
        ("", f"against all windows {effect.changed_verdicts:.1%} of the verdicts change, {effect.changed_regions:.1%} "
             f"show a region or none; maps differ by up to {effect.largest_difference:.2g}"),
    ]  # fmt: skip
