"""Image metrics are scikit-learn's, ties included."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from clipspect_lab.evaluation.metrics import auroc, average_precision, f1_max


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=60))
def test_metrics_are_those_of_scikit_learn_with_and_without_ties(pairs: list[tuple[bool, int]]) -> None:
    labels, ranks = zip(*pairs)
    assume(len(set(labels)) == 2)
    scores = np.array(ranks) / 7
    assert auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    precision, recall, _ = precision_recall_curve(labels, scores)
    largest = max(2 * p * r / (p + r) for p, r in zip(precision, recall) if p + r > 0)
    assert f1_max(labels, scores) == pytest.approx(largest, abs=1e-12)


def test_masks_and_maps_are_labels_and_scores() -> None:
    rng = np.random.default_rng(0)
    masks, maps = rng.random((3, 40, 40)) > 0.9, rng.random((3, 40, 40), dtype=np.float32)
    assert auroc(masks, maps) == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-12)


@pytest.mark.parametrize("metric", [auroc, average_precision, f1_max])
def test_one_class_has_no_figure(metric: Callable[..., float | None]) -> None:
    assert metric([True, True], [0.1, 0.2]) is None
    assert metric([False], [0.1]) is None
    assert metric([], []) is None


@pytest.mark.parametrize("metric", [auroc, average_precision, f1_max])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_or_do_not_fit_are_refused(metric: Callable[..., float | None], bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        metric([True, False], [0.1, bad])
    with pytest.raises(ValueError, match="shape"):
        metric([True, False], [0.1])
