"""Limits: what a score is judged by."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.base.errors import RecipeError


@dataclass(frozen=True)
class Limits:
    """Two limits on the score: below `review` pass, from `reject` fail, uncertain in between."""

    review: float
    reject: float

    def __post_init__(self) -> None:
        if not self.review <= self.reject:
            raise RecipeError(
                f"limits: review {self.review} is above reject {self.reject}: give the lower one as review"
            )
