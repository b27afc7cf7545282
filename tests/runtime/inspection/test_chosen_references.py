"""References are chosen of parts that do not calibrate, without which the promise would be broken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from clipspect.inspection.chosen_references import parts_for, split
from clipspect.recipes.gallery import thin
from clipspect.recipes.promise import limit_for


def distances(parts: npt.NDArray[np.float64], references: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of each part, unit rows, from the nearest reference: a score."""
    nearest: npt.NDArray[np.float64] = 1 - (parts @ references.T).max(axis=1)
    return nearest


def test_k_centre_over_the_parts_that_calibrate_would_break_the_promise_and_over_a_third_it_does_not() -> None:
    """Parts that are far from all others would become references, and none like them would be left to calibrate."""
    splits, rate, parts, references = 1000, 0.1, 60, 8
    rng = np.random.default_rng(0)

    def drawn(count: int) -> npt.NDArray[np.float64]:
        rows = rng.normal([3, 0, 0, 0], 1, (count, 4))
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    broken = {"all": 0, "a third": 0}
    for _ in range(splits):
        good, to_come = drawn(parts), drawn(2000)
        for name, candidates in (("all", parts), ("a third", parts // 3)):
            chosen = thin(good[:candidates].astype(np.float32), references).kept
            rest = np.delete(good, chosen, axis=0) if name == "all" else good[candidates:]
            limit, promise = limit_for(distances(rest, good[chosen]), rate, 0.95)
            broken[name] += np.mean(distances(to_come, good[chosen]) >= limit) > promise.rate
    most = stats.binom.ppf(1 - 1e-5, splits, 0.05)
    assert broken["a third"] <= most + 10  # 2,000 parts to come are not all
    assert broken["all"] > 3 * most


@pytest.mark.parametrize(("calibrating", "references"), [(1, 1), (20, 6), (21, 10), (59, 16), (299, 16), (20, 40)])
def test_so_many_parts_leave_enough_to_calibrate_and_one_fewer_does_not(calibrating: int, references: int) -> None:
    parts: list[Any] = [SimpleNamespace(part=str(part), content=str(part)) for part in range(1000)]
    total = parts_for(calibrating, references)
    assert len(split(parts[:total], references)[2]) == calibrating
    if total > 2:
        assert len(split(parts[: total - 1], references)[2]) < calibrating
