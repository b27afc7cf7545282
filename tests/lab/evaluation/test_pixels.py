"""Pixel metrics: scikit-learn's and anomalib's figures, and what bins may lose."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from clipspect_lab.evaluation.curves import Figures
from clipspect_lab.evaluation.pixels import MeasuredPixels, pixel_figures

GOLDEN = Path(__file__).parents[2] / "golden/aupro_anomalib.npz"

Maps = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]


def figures_of(maps: Maps, masks: Masks, **options: int) -> MeasuredPixels:
    return pixel_figures(lambda: zip(maps, masks), **options)


@st.composite
def maps_and_masks(draw: st.DrawFn) -> tuple[Maps, Masks]:
    """Small maps: few values with many ties, any values, or one value; with any masks, empty and full ones included."""
    shape = tuple(draw(st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7))))
    values = draw(
        st.sampled_from(
            [
                st.sampled_from([0.0, -0.0, 0.25, 0.5, 1.0]),
                st.floats(-1e6, 1e6, width=32),
                st.floats(0, 1, width=32),
                st.just(0.5),
            ]
        )
    )
    maps = draw(st_numpy.arrays(np.float32, shape, elements=values))
    return maps, draw(st_numpy.arrays(np.bool_, shape))


@settings(max_examples=150)
@given(maps_and_masks())
def test_pixel_figures_are_those_of_scikit_learn(pair: tuple[Maps, Masks]) -> None:
    maps, masks = pair
    found = figures_of(maps, masks).figures
    if masks.all() or not masks.any():
        assert found == Figures(None, None, None, None, None)
    else:
        assert_scikit_learn_agrees(found, maps, masks)


def assert_scikit_learn_agrees(found: Figures, maps: Maps, masks: Masks) -> None:
    labels, scores = masks.ravel(), maps.ravel()
    assert found.auroc == pytest.approx(roc_auc_score(labels, scores), abs=1e-9)
    assert found.average_precision == pytest.approx(average_precision_score(labels, scores), abs=1e-9)
    precision, recall, _ = precision_recall_curve(labels, scores)
    largest = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    assert found.f1_max == pytest.approx(largest, abs=1e-9)


def test_ties_of_millions_of_pixels_are_ties() -> None:
    rng = np.random.default_rng(3)
    masks = rng.random((2, 1100, 1100)) > 0.98
    maps = np.round(rng.random(masks.shape, dtype=np.float32) * 2 + masks).astype(np.float32)
    assert_scikit_learn_agrees(figures_of(maps, masks).figures, maps, masks)


@pytest.mark.parametrize("bins", [None, 64])
def test_aupro_is_that_of_anomalib_and_of_the_papers_code(bins: int | None) -> None:
    """The answers in aupro_anomalib.npz were made by tests/golden/aupro_anomalib.py.

    It ran once in an environment of its own with anomalib 2.7.0 (`AUPRO`, fpr_limit 0.3; torch 2.14, OpenCV 5.0) and
    the `cal_pro_score` of AnomalyCLIP's official code (scikit-image 0.26), on seeded maps: random ones, ties, constant
    and saturated maps, one defective or one good pixel, regions that touch at a corner, no defect, nothing but defect.
    Where one of them divides by zero or has no region, there is no figure here. Bins leave the papers' as it is.
    """
    golden = np.load(GOLDEN)
    names = [name.removesuffix("/maps") for name in golden.files if name.endswith("/maps")]
    assert len(names) == 23
    for name in names:
        maps, masks, (exact, papers) = (golden[f"{name}/{part}"] for part in ("maps", "masks", "answers"))
        answer = figures_of(maps, masks, **({} if bins is None else {"exact_pixels": 0, "bins": bins}))
        found, slack = answer.figures, (answer.largest_errors or Figures(0, 0, 0, 0, 0)).aupro_exact
        if masks.all() or not masks.any():
            assert (found.aupro_exact, found.aupro_papers) == (None, None), name
            continue
        assert found.aupro_exact == pytest.approx(exact, abs=1e-4 + (slack or 0)), name
        assert found.aupro_papers == (None if np.isnan(papers) else pytest.approx(papers, abs=1e-6)), name


@settings(max_examples=150)
@given(maps_and_masks(), st.integers(1, 12))
def test_bins_are_never_off_by_more_than_they_say(pair: tuple[Maps, Masks], bins: int) -> None:
    exact, binned = figures_of(*pair), figures_of(*pair, exact_pixels=0, bins=bins)
    assert exact.largest_errors is None
    assert binned.largest_errors is not None
    assert (binned.pixels, binned.regions) == (exact.pixels, exact.regions)
    values, bounds = dataclasses.asdict(binned.figures), dataclasses.asdict(binned.largest_errors)
    for name, value in dataclasses.asdict(exact.figures).items():
        if value is None:
            assert (values[name], bounds[name]) == (None, None)
        else:
            assert abs(values[name] - value) <= bounds[name] + 1e-9, name


def test_the_default_bins_lose_less_than_a_hundredth_of_a_point() -> None:
    maps, masks = zip(*drawn(6, 256))
    binned = figures_of(np.stack(maps), np.stack(masks), exact_pixels=0)
    assert binned.largest_errors is not None
    assert all(bound < 1e-4 for bound in dataclasses.asdict(binned.largest_errors).values())


@pytest.mark.parametrize("exact_pixels", [0, 1 << 20])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_maps_that_are_not_finite_are_refused(bad: float, exact_pixels: int) -> None:
    maps = np.zeros((1, 4, 4), np.float32)
    maps[0, 2, 2] = bad
    with pytest.raises(ValueError, match="finite"):
        figures_of(maps, maps > 0, exact_pixels=exact_pixels)


def test_maps_of_another_type_or_shape_than_their_mask_are_refused() -> None:
    with pytest.raises(ValueError, match="float64"):
        pixel_figures(lambda: [(np.zeros((4, 4)), np.zeros((4, 4), bool))])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"\(4, 5\)"):
        pixel_figures(lambda: [(np.zeros((4, 4), np.float32), np.zeros((4, 5), bool))])


def test_no_maps_have_no_figures() -> None:
    assert pixel_figures(list) == MeasuredPixels(Figures(None, None, None), None, 0, 0)


def test_memory_does_not_grow_with_the_number_of_maps() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        pixel_figures(lambda: drawn(count, 512), exact_pixels=0)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(60) < peak(20) + 10e6  # 40 maps more would be 42 MB, their masks 10


def drawn(count: int, side: int) -> Iterator[tuple[Maps, Masks]]:
    """Noise that is brighter in a rectangle; no two maps are kept."""
    rng = np.random.default_rng(7)
    for _ in range(count):
        anomaly_map, mask = rng.random((side, side), dtype=np.float32), np.zeros((side, side), bool)
        mask[side // 8 : side // 4, side // 2 :] = True
        anomaly_map[mask] += np.float32(0.5)
        yield anomaly_map, mask
