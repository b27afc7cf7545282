"""Ranges of numbers against plain sets."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipspect.line.number_ranges import NumberRanges

IN_ANY_TIME = settings(suppress_health_check=[HealthCheck.too_slow])  # other tests run beside
NUMBERS = st.integers(0, 30)
RANGES = st.lists(st.tuples(NUMBERS, NUMBERS).map(lambda pair: (min(pair), max(pair))), max_size=8)


@IN_ANY_TIME
@given(RANGES, NUMBERS, NUMBERS)
def test_what_is_missing_and_how_many_hold_a_number_are_those_of_sets(
    ranges: list[tuple[int, int]], first: int, last: int
) -> None:
    found = NumberRanges(ranges)
    sets = [set(range(start, end + 1)) for start, end in ranges]
    missing = [number for start, end in found.missing(first, last) for number in range(start, end + 1)]
    assert missing == [number for number in range(first, last + 1) if not any(number in held for held in sets)]
    assert found.holding(first) == sum(first in held for held in sets)
