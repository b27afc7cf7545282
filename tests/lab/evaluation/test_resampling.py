"""Histograms of images, and the paired bootstrap that is made of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipspect_lab.evaluation.curves import Figures
from clipspect_lab.evaluation.histograms import Histograms, histograms
from clipspect_lab.evaluation.metrics import f1_limit, f1_max, image_figures
from clipspect_lab.evaluation.pixels import pixel_figures
from clipspect_lab.evaluation.resampling import METRICS, SEED, Answers, _draws, differences, intervals, mean_of_classes

IMAGES, SIDE = 12, 24
KEYS = list(METRICS)


def drawn(seed: int, strength: float = 0.4, levels: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Maps and masks of which every second has a defect; with `levels` the maps are full of ties."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((IMAGES, SIDE, SIDE), bool)
    for i in range(1, IMAGES, 2):
        y, x = rng.integers(0, SIDE - 8, 2)
        masks[i, y : y + 8, x : x + rng.integers(2, 8)] = True
    maps = rng.random(masks.shape) + strength * masks
    return (np.floor(maps * levels) / levels if levels else maps).astype(np.float32), masks


def counted(maps: npt.NDArray[np.float32], masks: npt.NDArray[np.bool_]) -> Histograms:
    return histograms(lambda: zip(maps, masks), len(maps))


def files(number: int) -> npt.NDArray[np.int64]:
    return np.tile((1000, SIDE, SIDE), (number, 1))


def answers(seed: int, strength: float = 0.4) -> Answers:
    maps, masks = drawn(seed, strength)
    names = tuple(f"{i}.png" for i in range(IMAGES))
    return Answers(names, files(IMAGES), masks.any((1, 2)), maps.max((1, 2)).astype(float), counted(maps, masks))


@pytest.mark.parametrize("levels", [0, 1, 5])
@pytest.mark.parametrize("seed", range(3))
def test_histograms_give_the_exact_figures_within_the_error_that_they_state(seed: int, levels: int) -> None:
    maps, masks = drawn(seed, levels=levels)
    exact = pixel_figures(lambda: zip(maps, masks)).figures
    curves = counted(maps, masks).of_all()
    for field in dataclasses.fields(Figures):
        expected, found, error = (
            getattr(part, field.name) for part in (exact, curves.figures(), curves.largest_errors())
        )
        assert (found is None) == (expected is None)
        if expected is not None:
            assert abs(found - expected) <= error + 1e-9
            assert levels or error < 0.02  # of ties it cannot know that they are


@given(counts=st.lists(st.integers(0, 3), min_size=IMAGES, max_size=IMAGES))
@settings(max_examples=25)
def test_a_resample_has_the_figures_of_its_images_as_often_as_they_are_drawn(counts: list[int]) -> None:
    maps, masks = drawn(1)
    (curves,) = counted(maps, masks).resampled(np.array([counts]))
    again = np.repeat(np.arange(IMAGES), counts)
    exact = pixel_figures(lambda: zip(maps[again], masks[again])).figures
    found, error = curves.figures(), curves.largest_errors()
    for field in ("auroc", "average_precision", "f1_max", "aupro_exact"):
        expected = getattr(exact, field)
        assert (getattr(found, field) is None) == (expected is None)
        if expected is not None:
            assert abs(getattr(found, field) - expected) <= getattr(error, field) + 1e-9
            assert getattr(error, field) < 0.05


def test_the_stated_error_of_a_difference_holds_for_every_resample_of_both_sides() -> None:
    one, other = answers(0), answers(1)
    found = differences(one, other, "nut", resamples=50)
    bounds = []
    for counts in _draws(one.defective, "nut", 50, SEED):
        assert one.pixels is not None
        assert other.pixels is not None
        for pair in zip(one.pixels.resampled(counts), other.pixels.resampled(counts)):
            errors = [dataclasses.asdict(curves.largest_errors()) for curves in pair]
            bounds += [errors[0][key] + errors[1][key] for key in errors[0]]
    assert found.largest_error == pytest.approx(max(bounds))
    assert one.pixels is not None
    assert found.largest_error > max(dataclasses.asdict(one.pixels.of_all().largest_errors()).values())


def test_without_pixels_no_error_of_bins_is_stated() -> None:
    one = dataclasses.replace(answers(0), pixels=None)
    assert differences(one, one, "nut", resamples=5).largest_error is None


def test_an_evaluation_does_not_differ_from_itself() -> None:
    assert (differences(answers(0), answers(0), "nut", resamples=20).values == 0).all()


def test_a_better_side_is_better_in_every_resample_and_a_like_one_is_not() -> None:
    one = answers(0, strength=0.0)
    better = differences(one, dataclasses.replace(answers(0, strength=0.9)), "nut", resamples=200).values
    for key in ("image_auroc", "pixel_auroc", "pixel_aupro_exact"):
        interval = intervals(better)[key]
        assert interval is not None
        assert interval[0] > 0
    like = intervals(differences(answers(1), answers(2), "nut", resamples=200).values)["pixel_auroc"]
    assert like is not None
    assert like[0] < 0 < like[1]


def test_the_same_is_drawn_for_both_sides_and_again_but_not_for_another_class() -> None:
    one, other = answers(1), answers(2)
    first = differences(one, other, "nut", resamples=30).values
    np.testing.assert_array_equal(first, differences(one, other, "nut", resamples=30).values)
    np.testing.assert_array_equal(first, -differences(other, one, "nut", resamples=30).values)
    assert (first != differences(one, other, "bolt", resamples=30).values).any()


def test_image_figures_of_a_resample_are_exact_ties_included() -> None:
    scores = np.array([0.1, 0.2, 0.2, 0.3, 0.3, 0.9])
    label = np.array([False, False, True, False, True, True])
    one = Answers(tuple("abcdef"), files(6), label, np.zeros(6), None)
    found = differences(one, dataclasses.replace(one, scores=scores), "nut", resamples=300).values
    image = found[:, KEYS.index("image_auroc")]
    assert np.isnan(found[:, KEYS.index("pixel_auroc")]).all()
    assert image.mean() == pytest.approx((image_figures(label, scores).auroc or 0) - 0.5, abs=0.03)
    assert {round(value * 18) for value in image} <= set(range(-9, 10))  # 9 pairs, of which ties count half


def test_the_mean_of_classes_is_over_those_that_have_the_figure() -> None:
    one, other = np.full((2, len(KEYS)), 1.0), np.full((2, len(KEYS)), 3.0)
    other[:, 3], one[:, 4], other[:, 4] = np.nan, np.nan, np.nan
    mean = mean_of_classes([one, other])
    assert mean[0, [0, 3]].tolist() == [2.0, 1.0]
    assert np.isnan(mean[0, 4])
    assert intervals(mean)[KEYS[4]] is None


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.7])), min_size=1, max_size=12))
def test_the_f1_limit_reaches_the_largest_f1(pairs: list[tuple[bool, float]]) -> None:
    label, scores = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    limit = f1_limit(label, scores)
    assert (limit is None) == (label.all() or not label.any())
    if limit is not None:
        called = scores >= limit
        f1 = 2 * (called & label).sum() / (called.sum() + label.sum())
        assert f1 == pytest.approx(f1_max(label, scores))
