"""What a window raises is what the map loses without it, and the grid of windows is known from their number."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipspect.bundle.windows_graph import window_count, window_starts
from clipspect.frame.spec import ImageSpec
from clipspect.inspection.explanation_grid import Grid, grid_of_windows
from clipspect.inspection.explanation_windows import WindowValues

PROBABILITY = st.floats(0.01, 0.99)


@given(
    st.integers(3, 5), st.integers(3, 5), st.sampled_from([1, 2]), st.sampled_from(["harmonic", "arithmetic", "max"]),
    st.data(),
)  # fmt: skip
def test_a_window_raises_the_region_by_what_the_map_loses_without_it(
    rows: int, columns: int, stride: int, fusion: str, data: st.DataObject
) -> None:
    grid = Grid(rows, columns)
    counts = {scale: window_count((rows, columns), scale, stride) for scale in (2, 3)}
    scales = {
        scale: np.array(data.draw(st.lists(PROBABILITY, min_size=count, max_size=count)))
        for scale, count in counts.items()
    }
    weights = np.array(data.draw(st.lists(st.floats(0.01, 1), min_size=grid.patches, max_size=grid.patches)))
    values = WindowValues(grid, stride, fusion, data.draw(PROBABILITY), scales)
    for raised in values.raised(weights):
        usual = float(np.median(scales[raised.scale]))
        changed = {scale: own.copy() for scale, own in scales.items()}
        changed[raised.scale][raised.window] = usual
        without = dataclasses.replace(values, scales=changed)
        lost = np.average(plain_map(values), weights=weights) - np.average(plain_map(without), weights=weights)
        assert raised.by == pytest.approx(lost, abs=1e-9)
        assert raised.probability > usual


def plain_map(values: WindowValues) -> npt.NDArray[np.float64]:
    """As the paper has it, patch by patch."""
    found = np.zeros(values.grid.patches)
    for patch in range(values.grid.patches):
        row, column = divmod(patch, values.grid.columns)
        maps = []
        for scale, own in values.scales.items():
            places = [
                (top, left)
                for top in window_starts(values.grid.rows, scale, values.stride)
                for left in window_starts(values.grid.columns, scale, values.stride)
            ]
            holding = [
                own[number]
                for number, (top, left) in enumerate(places)
                if top <= row < top + scale and left <= column < left + scale
            ]
            maps.append(len(holding) / sum(1 / value for value in holding))
        if values.fusion == "harmonic":
            found[patch] = (len(maps) + 1) / (sum(1 / value for value in maps) + 1 / values.image)
        elif values.fusion == "arithmetic":
            found[patch] = (sum(maps) + values.image) / (len(maps) + 1)
        else:
            found[patch] = max(maps)
    return found


@given(st.integers(3, 20), st.integers(3, 20), st.sampled_from([8, 14, 16, 32]), st.sampled_from([1, 2]))
def test_the_grid_is_known_from_how_many_windows_there_are(rows: int, columns: int, patch: int, stride: int) -> None:
    counts = {scale: window_count((rows, columns), scale, stride) for scale in (2, 3)}
    found = grid_of_windows(ImageSpec(rows * patch, columns * patch), counts, stride)
    assert found == Grid(rows, columns)


@given(st.sampled_from([14, 15, 16, 24, 37]), st.sampled_from([14, 16, 32]), st.sampled_from([1, 2]))
def test_the_grid_is_known_from_the_windows_of_one_scale(side: int, patch: int, stride: int) -> None:
    counts = {2: window_count((side, side), 2, stride)}
    assert grid_of_windows(ImageSpec(side * patch, side * patch), counts, stride) == Grid(side, side)
