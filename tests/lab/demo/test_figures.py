"""The one measure of the demo: figures of pictures from arrays."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from clipspect_lab.demo.figures import ALL, MEAN, figures_by_family, mean_of_families, picture_figures

RNG = np.random.default_rng(5)
MASKS = np.zeros((6, 12, 10), bool)
MASKS[1::2, 3:6, 2:5] = True  # every second picture is defective
SCORES = RNG.random(6).round(1)
MAPS = (RNG.random(MASKS.shape) + 0.5 * MASKS).astype(np.float32)
FAMILIES = ["nut", "nut", "nut", "nut", "bolt", "bolt"]


def test_figures_of_pictures_are_those_of_scikit_learn() -> None:
    found = picture_figures(SCORES, MAPS, MASKS)
    assert (found.name, found.good, found.defective) == (ALL, 3, 3)
    assert found.image_auroc == pytest.approx(roc_auc_score(MASKS.any((1, 2)), SCORES))
    assert found.pixel_auroc == pytest.approx(roc_auc_score(MASKS.ravel(), MAPS.ravel()))


def test_a_family_is_measured_as_if_it_were_alone_and_counts_once_in_the_mean() -> None:
    nut, bolt = figures_by_family(SCORES, MAPS, MASKS, FAMILIES)
    assert nut == picture_figures(SCORES[:4], MAPS[:4], MASKS[:4], "nut")
    assert bolt == picture_figures(SCORES[4:], MAPS[4:], MASKS[4:], "bolt")
    mean = mean_of_families([nut, bolt])
    assert (mean.name, mean.good, mean.defective) == (MEAN, 3, 3)
    assert (nut.pixel_auroc, bolt.pixel_auroc) != (None, None)
    assert mean.pixel_auroc == pytest.approx(((nut.pixel_auroc or 0) + (bolt.pixel_auroc or 0)) / 2)


def test_pictures_of_one_kind_have_no_figures_and_are_left_out_of_the_mean() -> None:
    good = picture_figures(SCORES[::2], MAPS[::2], MASKS[::2], "good")
    assert set(good.values.values()) == {None}
    assert mean_of_families([good]).image_auroc is None
    both = picture_figures(SCORES, MAPS, MASKS)
    assert mean_of_families([good, both]).values == both.values


def test_pictures_of_different_sizes_are_measured_together() -> None:
    cut = [MAPS[0][:6], *MAPS[1:]], [MASKS[0][:6], *MASKS[1:]]
    found = picture_figures(SCORES, *cut)
    expected = roc_auc_score(*(np.concatenate([part.ravel() for part in parts]) for parts in reversed(cut)))
    assert found.pixel_auroc == pytest.approx(expected)


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="as many scores, maps and masks, found 5, 6, 6"):
        picture_figures(SCORES[:5], MAPS, MASKS)
    with pytest.raises(ValueError, match="as many families as scores, found 1 and 6"):
        figures_by_family(SCORES, MAPS, MASKS, ["nut"])
