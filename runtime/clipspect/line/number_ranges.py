"""Ranges of whole numbers, asked many times: which numbers are in none, how many ranges hold one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable


class NumberRanges:
    """Ranges (first, last), both included; they may overlap."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(ranges)
        self._firsts = [first for first, _ in ordered]
        self._lasts = sorted(last for _, last in ordered)
        self._joined: list[tuple[int, int]] = []  # disjoint
        for first, last in ordered:
            if self._joined and first <= self._joined[-1][1] + 1:
                self._joined[-1] = (self._joined[-1][0], max(last, self._joined[-1][1]))
            else:
                self._joined.append((first, last))

    def holding(self, number: int) -> int:
        """How many of the ranges hold a number."""
        return bisect_right(self._firsts, number) - bisect_left(self._lasts, number)

    def missing(self, first: int, last: int) -> list[tuple[int, int]]:
        """Which numbers from `first` to `last` are in none, as ranges."""
        found = []
        at = max(0, bisect_right(self._joined, (first, last)) - 1)
        while first <= last and at < len(self._joined) and self._joined[at][0] <= last:
            start, end = self._joined[at]
            if first < start:
                found.append((first, start - 1))
            first = max(first, end + 1)
            at += 1
        return [*found, (first, last)] if first <= last else found
