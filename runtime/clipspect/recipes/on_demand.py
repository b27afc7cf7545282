"""Which of WinCLIP's windows a recipe encodes: a cascade, and reuse for fixed cameras. docs/windows-on-demand.md."""

from __future__ import annotations

from dataclasses import dataclass, replace

from clipspect.base.errors import RecipeError

_MOST_GREY = 255


@dataclass(frozen=True)
class CascadeEffect:
    """What a cascade does to the photographs that it was calibrated on, against all windows: shares from 0 to 1."""

    good: int  # photographs
    defective: int
    good_work: float  # the mean share of an image's tokens that is encoded, of good parts
    defective_work: float | None  # None: there were no defective parts
    changed_verdicts: float  # of all photographs
    changed_regions: float  # that show a region with one and none with the other
    largest_difference: float  # of two maps' pixels


@dataclass(frozen=True)
class Cascade:
    """Windows `stride` patches apart first, then all windows around patches whose value is over `limit`."""

    limit: float
    stride: int = 2
    effect: CascadeEffect | None = None

    def __post_init__(self) -> None:
        if self.stride < 2:
            raise RecipeError(f"cascade: a stride of {self.stride} leaves nothing out: give 2 or more")


@dataclass(frozen=True)
class Reuse:
    """A window is kept while no sample of it has moved by more than `tolerance` grey levels since it was encoded."""

    tolerance: int = 0  # 0 is exact
    refresh: int = 100  # everything is encoded again every so many frames

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance <= _MOST_GREY:
            raise RecipeError(f"reuse: a tolerance of {self.tolerance} grey levels: expected 0 to {_MOST_GREY}")
        if self.refresh < 1:
            raise RecipeError(f"reuse: refreshed every {self.refresh} frames: expected a number from 1")


@dataclass(frozen=True)
class OnDemand:
    """What is left out. It goes with the recipe, for its limits speak of what is computed so."""

    cascade: Cascade | None = None
    reuse: Reuse | None = None

    @property
    def unmeasured(self) -> OnDemand:
        """The same, of a cascade whose effect is not known, as with other limits."""
        return self if self.cascade is None else replace(self, cascade=replace(self.cascade, effect=None))
