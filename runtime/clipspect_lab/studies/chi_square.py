"""The chi-square distribution, by the series of the incomplete gamma function: the box needs no SciPy for it."""

from __future__ import annotations

import math


def chi_square(value: float, degrees: int) -> float:
    """P(X <= value) with so many degrees of freedom."""
    if value <= 0:
        return 0.0
    a, x = degrees / 2, value / 2
    term = total = 1.0
    while term > total * 1e-17:  # the terms grow up to x, then fall
        a += 1
        term *= x / a
        total += term
    a = degrees / 2
    return min(1.0, math.exp(a * math.log(x) - x - math.lgamma(a + 1) + math.log(total)))


def chi_square_quantile(probability: float, degrees: int) -> float:
    """The value that X does not exceed with the probability."""
    low, high = 0.0, float(degrees)
    while chi_square(high, degrees) < probability:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if chi_square(middle, degrees) < probability else (low, middle)
    return high
