"""Limits: what a frame's score and anomaly map are judged by, and what is promised of them."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.base.errors import RecipeError


@dataclass(frozen=True)
class Promise:
    """What one limit is worth: at most `rate` of good parts reach it, with `confidence`, measured on `parts` of them.

    The limit lies just above the `rank`-th largest of their scores; on average `rank / (parts + 1)` reach it.
    """

    rate: float
    confidence: float
    parts: int
    rank: int
    asked: float  # the rate that was asked for: lower than `rate` where there were too few parts

    @property
    def kept(self) -> bool:
        """Whether it is what was asked for."""
        return self.rate <= self.asked


@dataclass(frozen=True)
class Limits:
    """On the score: below `review` pass, from `reject` fail, uncertain in between. On the map: regions lie over `map`.

    A promise stands beside each limit that calibration found; a limit that was given by hand has none.
    """

    review: float
    reject: float
    map: float | None = None  # None: the middle of the map's range
    review_promise: Promise | None = None  # of uncertain and failed good parts together
    reject_promise: Promise | None = None
    map_promise: Promise | None = None  # of good parts that show any region

    @property
    def words(self) -> str:
        """In one line, without what is promised of them."""
        regions = "" if self.map is None else f", regions over {self.map:g}"
        return f"review from {self.review:g}, reject from {self.reject:g}{regions}"

    def __post_init__(self) -> None:
        if not self.review <= self.reject:
            raise RecipeError(
                f"limits: review {self.review} is above reject {self.reject}: give the lower one as review"
            )
