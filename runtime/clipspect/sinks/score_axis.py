"""Score against limits: the axis on which overlays and pages show a score between the limits of its recipe."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import Recipe

_NARROWEST = 1e-6  # of the reject limit: good parts that differ by less score alike


@dataclass(frozen=True)
class ScoreAxis:
    """From `low` to `high`, the reject limit in its middle: the same for all frames of a recipe."""

    low: float
    high: float
    limits: Limits

    def share(self, value: float) -> float:
        """Where a value lies, 0 to 1; what lies beyond an end is at the end."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def zones(self) -> list[tuple[str, float, float]]:
        """Verdict, start and end of each stretch, 0 to 1."""
        review, reject = self.share(self.limits.review), self.share(self.limits.reject)
        return [("pass", 0.0, review), ("uncertain", review, reject), ("fail", reject, 1.0)]


def score_axis(recipe: Recipe, limits: Limits | None) -> ScoreAxis | None:
    """Of the limits that judge with a recipe, which can be wider than its own.

    It begins at the lowest score of the good parts that calibrated the recipe, else at 0; None without limits.
    """
    if limits is None:
        return None
    calibration = recipe.calibration
    scores = [part.score for part in calibration.parts if not part.struck] if calibration is not None else []
    low = min([*(scores or [0.0]), limits.review])
    half = limits.reject - low
    if half <= _NARROWEST * abs(limits.reject):
        half = abs(limits.reject) / 2 or 1.0
    return ScoreAxis(limits.reject - half, limits.reject + half, limits)
