"""The correction of text features: the minimum of its formula, taken off again, and small where the pull is large."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from clipspect.recipes.text_correction import (
    CORRECTION,
    STRENGTH,
    corrected,
    fit,
    learned_parts,
    words_alone,
    words_scores,
)
from support import handmade

RNG = np.random.default_rng(0)
ROWS = RNG.normal(np.array([3.0, 0, 0, 0]), 1, (9, 4))
ROWS /= np.linalg.norm(ROWS, axis=1, keepdims=True)
DEFECTIVE = np.arange(9) % 3 == 0
LOGITS = RNG.normal(size=9)


@pytest.mark.parametrize("strength", [1.0, STRENGTH])
def test_the_direction_is_the_minimum_that_scipy_finds(strength: float) -> None:
    states = np.where(DEFECTIVE, 1, -1)
    weights = 9 * np.where(DEFECTIVE, 0.5 / 3, 0.5 / 6)

    def loss(at: np.ndarray) -> float:
        margins = states * (LOGITS + ROWS @ at[:4] + at[4])
        return float(weights @ np.logaddexp(0, -margins) + strength / 2 * at[:4] @ at[:4])

    expected = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-9}).x
    assert fit(ROWS, LOGITS, DEFECTIVE, strength) == pytest.approx(expected[:4], abs=1e-4)


def test_a_large_pull_leaves_the_words_and_separable_parts_stay_finite() -> None:
    assert np.abs(fit(ROWS, LOGITS, DEFECTIVE, 1e9)).max() < 1e-6
    assert np.isfinite(fit(ROWS[:2], LOGITS[:2], np.array([True, False]))).all()


def test_the_correction_says_more_of_the_parts_and_comes_off_again() -> None:
    features = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32) * 20
    words = handmade.make_recipe(tensors={"text_features": features})
    learned = corrected(words, ROWS, DEFECTIVE, "ihgfedcba")

    def apart(recipe: handmade.Recipe) -> float:
        scores = words_scores(recipe, ROWS)
        logits = np.log(scores / (1 - scores))
        return float(logits[DEFECTIVE].mean() - logits[~DEFECTIVE].mean())

    assert apart(learned) > apart(words) + 0.1
    assert learned_parts(learned) == set("abcdefghi")
    assert learned_parts(words) == set()
    assert words_alone(learned).text_features == pytest.approx(features, abs=1e-4)
    assert CORRECTION not in words_alone(learned).prompts
    again = corrected(learned, ROWS, DEFECTIVE, "ihgfedcba")  # of the words, not of what was learned
    assert again.text_features == pytest.approx(learned.text_features, abs=1e-4)
    assert learned.text_features.shape == features.shape
