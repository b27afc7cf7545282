"""A small correction of a recipe's text features by parts whose state a person knows, pulled to the words themselves.

With unit image embeddings z_i, unit text features n_p and a_p of the two states, and the softmax's temperature t, the
words say of a part the logit m_i = (max_p z_i a_p - max_p z_i n_p) / t. A direction u is added to it, and an offset b,
which limits take care of and which is dropped:

    minimise over u, b:   sum_i w_i log(1 + exp(-y_i (m_i + z_i u + b))) + STRENGTH / 2 |u|^2,   y_i = 1 of a defect, -1

where w_i gives both states the same weight. This is logistic regression with a Gaussian prior, found in Newton steps
(Bishop, Pattern Recognition and Machine Learning, 2006, 4.3.3 and 4.5), whose prior mean is the classifier that the
words make, as few-shot linear probes of CLIP do that are held near it (Silva-Rodriguez et al., CLAP, CVPR 2024). Then
a_p + t u / 2 and n_p - t u / 2 are the corrected features; STRENGTH large leaves the words as they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.engines.graph import TEXT_FEATURES
from clipspect.recipes.recipe import Recipe

STRENGTH = 0.003  # of the pull to the words; docs/feedback.md says how it was chosen
TEMPERATURE = 0.07  # of WinCLIP's softmax; for other methods it is a part of the pull
CORRECTION = "correction"  # of a recipe's prompts: what was added, so that it can be taken off again
_STEPS, _ENOUGH = 50, 1e-10
_SIGNS = np.array([-1.0, 1.0])  # normal, anomalous

Array = npt.NDArray[np.float64]


def words_alone(recipe: Recipe) -> Recipe:
    """The recipe with the text features of its words, whatever was learned before."""
    known = recipe.prompts.get(CORRECTION)
    if known is None:
        return recipe
    features = recipe.text_features - _added(np.array(known["lengths"]), np.array(known["direction"]))
    prompts = {name: value for name, value in recipe.prompts.items() if name != CORRECTION}
    return _with(recipe, features, prompts)


def learned_parts(recipe: Recipe) -> set[str]:
    """What the parts show that the recipe's words learned from: their scores say less of others than they seem to."""
    return set(recipe.prompts.get(CORRECTION, {}).get("parts", ()))


def corrected(recipe: Recipe, embeddings: Array, defective: npt.NDArray[np.bool_], contents: Sequence[str]) -> Recipe:
    """The recipe with text features that also know these parts: unit embeddings (n, D), of both states.

    The recipe says which they are, by what they show. What was learned before is taken off first: a correction is
    always of the words.
    """
    recipe = words_alone(recipe)
    lengths, logits = _read(recipe, embeddings)
    direction = fit(np.asarray(embeddings, np.float64), logits, defective)
    known = {"lengths": lengths.tolist(), "direction": direction.tolist(), "parts": sorted(contents)}
    return _with(recipe, recipe.text_features + _added(lengths, direction), {**recipe.prompts, CORRECTION: known})


def words_scores(recipe: Recipe, embeddings: Array) -> Array:
    """The softmax of unit embeddings (n, D) over the two states, which is WinCLIP's score without windows: (n,)."""
    _, logits = _read(recipe, embeddings)
    scores: Array = 0.5 * (1 + np.tanh(logits / 2))
    return scores


def fit(embeddings: Array, logits: Array, defective: npt.NDArray[np.bool_], strength: float = STRENGTH) -> Array:
    """The direction u (D,) of the formula above, from embeddings (n, D), the words' logits (n,) and states (n,)."""
    states = np.where(defective, 1.0, -1.0)
    weights = np.where(defective, 0.5 / defective.sum(), 0.5 / (~defective).sum()) * len(states)
    rows = np.column_stack([embeddings, np.ones(len(embeddings))])
    pull = np.full(rows.shape[1], strength)
    pull[-1] = 0  # the offset is free
    found = np.zeros(rows.shape[1])

    def loss(at: Array) -> float:
        return float(weights @ np.logaddexp(0, -states * (logits + rows @ at)) + (pull * at**2).sum() / 2)

    for _ in range(_STEPS):
        shares = 0.5 * (1 + np.tanh((logits + rows @ found) / 2))  # sigmoid: probability of a defect
        gradient = rows.T @ (weights * (shares - (states > 0))) + pull * found
        curved = rows.T @ (rows * (weights * np.maximum(shares * (1 - shares), _ENOUGH))[:, None]) + np.diag(pull)
        step, length = np.linalg.solve(curved, gradient), 1.0
        while loss(found - length * step) > loss(found) and length > _ENOUGH:
            length /= 2
        found = found - length * step
        if np.abs(length * step).max() < _ENOUGH:
            break
    return found[:-1]


def _read(recipe: Recipe, embeddings: Array) -> tuple[Array, Array]:
    """The lengths of the text features (2, P), whose directions alone a graph reads, and the logits (n,)."""
    features = recipe.text_features.astype(np.float64)
    lengths: Array = np.linalg.norm(features, axis=-1)
    cosines = (np.asarray(embeddings, np.float64) @ (features / lengths[..., None]).transpose(0, 2, 1)).max(axis=-1)
    return lengths, (cosines[1] - cosines[0]) / TEMPERATURE


def _added(lengths: Array, direction: Array) -> Array:
    """What is added to the features (2, P, D), of which each keeps its length as a measure."""
    added: Array = _SIGNS[:, None, None] * lengths[..., None] * (TEMPERATURE / 2 * direction)
    return added


def _with(recipe: Recipe, features: npt.NDArray[Any], prompts: dict[str, Any]) -> Recipe:
    tensors = {**recipe.tensors, TEXT_FEATURES: np.ascontiguousarray(features, np.float32)}
    return dataclasses.replace(recipe, tensors=tensors, prompts=prompts)
