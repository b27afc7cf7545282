"""Proportions: a count of parts, what share of all such parts it stands for, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from clipspect.recipes.promise import CONFIDENCE, bound, percent


@dataclass(frozen=True)
class Proportion:
    """`count` of `parts`, with the exact bounds of Clopper and Pearson (1934)."""

    count: int
    parts: int
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        if not 0 <= self.count <= self.parts:
            raise ValueError(f"a proportion has 0 <= count <= parts, found {self.count} of {self.parts}")

    @property
    def value(self) -> float | None:
        """The share that was counted; None where there were no parts."""
        return self.count / self.parts if self.parts else None

    @cached_property
    def at_most(self) -> float:
        """The upper bound alone, with the whole confidence: Beta^-1(confidence; count + 1, parts - count)."""
        return self._upper(self.confidence)

    @cached_property
    def at_least(self) -> float:
        """The lower bound alone, with the whole confidence: Beta^-1(1 - confidence; count, parts - count + 1)."""
        return self._lower(self.confidence)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Both bounds together, half of what the confidence leaves open on each side."""
        one_sided = (1 + self.confidence) / 2
        return self._lower(one_sided), self._upper(one_sided)

    def words(self) -> str:
        """The share with its interval: "3 of 29, 10 % (2.2 to 27 %)"."""
        if self.value is None:
            return "unknown, there are no such parts"
        low, high = self.interval
        return f"{self.count} of {self.parts}, {percent(self.value)} ({percent(low)[:-2]} to {percent(high)})"

    def document(self) -> dict[str, Any]:
        """What documents say of it."""
        return {
            "count": self.count,
            "of": self.parts,
            "share": self.value,
            "ppm": None if self.value is None else self.value * 1e6,
            "interval": list(self.interval),
            "at_least": self.at_least,
            "at_most": self.at_most,
            "at_most_ppm": self.at_most * 1e6,
            "confidence": self.confidence,
        }

    def _upper(self, confidence: float) -> float:
        return 1.0 if self.count == self.parts else bound(self.count + 1, self.parts, confidence)

    def _lower(self, confidence: float) -> float:
        return 0.0 if self.count == 0 else bound(self.count, self.parts, 1 - confidence)


def ppm(share: float) -> str:
    """A share in parts per million, with two digits that count: "98,000 PPM"."""
    return f"{float(f'{share * 1e6:.2g}'):,.0f} PPM" if share * 1e6 >= 10 else f"{share * 1e6:.2g} PPM"
