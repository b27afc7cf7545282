"""AUROC is exact, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from clipspect.metrics import auroc
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=60))
def test_auroc_is_that_of_scikit_learn_with_and_without_ties(pairs: list[tuple[bool, int]]) -> None:
    labels, scores = zip(*pairs)
    assume(len(set(labels)) == 2)
    assert auroc(labels, np.array(scores) / 7) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_pixel_auroc_takes_masks_and_maps() -> None:
    rng = np.random.default_rng(0)
    masks, maps = rng.random((3, 40, 40)) > 0.9, rng.random((3, 40, 40), dtype=np.float32)
    assert auroc(masks, maps) == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-12)


def test_one_class_has_no_auroc() -> None:
    assert auroc([True, True], [0.1, 0.2]) is None
    assert auroc([False], [0.1]) is None
    assert auroc([], []) is None


def test_scores_that_are_not_finite_or_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        auroc([True, False], [0.1, float("nan")])
    with pytest.raises(ValueError, match="shape"):
        auroc([True, False], [0.1])
