"""The states of a prompt ensemble, embedded one by one: which words a window looks like, besides how anomalous it is.

A recipe's text features are means over all prompts of normal and of anomalous. What explains a result are the states
("{} with a scratch"), each a mean over the templates: these say how a photograph was taken, not what is seen on it.
A recipe keeps them as rows of length 1 in float16, 20 kB of text for eleven states of 640 numbers.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from clipspect.recipes.prompts import MAX, PLACE, STATE_FEATURES, STATES, Ensemble

if TYPE_CHECKING:
    from clipspect.recipes.recipe import Recipe

State = Literal["normal", "anomalous"]
Rows = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class EmbeddedStates:
    """Words of one state, and their embeddings of length 1, (n, D)."""

    state: State
    words: tuple[str, ...]
    rows: Rows = field(repr=False)


def embedded_states(recipe: Recipe) -> tuple[EmbeddedStates, ...]:
    """Of normal and anomalous; empty where the recipe does not keep them, or its prompts were learned.

    With prompt fusion "max" the recipe's text features are those of every prompt. Raises RecipeError for a damaged one.
    """
    prompts = recipe.prompts
    if not {*STATES, "templates"} <= prompts.keys():
        return ()
    named = {state: [text.replace(PLACE, recipe.object) for text in prompts[state]] for state in STATES}
    if prompts.get("fusion") == MAX:
        normal, anomalous = Ensemble(
            tuple(prompts["normal"]), tuple(prompts["anomalous"]), tuple(prompts["templates"])
        ).prompts(recipe.object)
        texts: dict[State, list[str]] = {"normal": normal, "anomalous": anomalous}
        features = recipe.text_features
        return tuple(
            EmbeddedStates(state, tuple(own), _unit(features[place, : len(own)]))
            for place, (state, own) in enumerate(texts.items())
        )
    if STATE_FEATURES not in prompts:
        return ()
    rows = unpack(prompts[STATE_FEATURES], sum(map(len, named.values())), recipe)
    normal_rows, anomalous_rows = np.split(rows, [len(named["normal"])])
    return (
        EmbeddedStates("normal", tuple(named["normal"]), normal_rows),
        EmbeddedStates("anomalous", tuple(named["anomalous"]), anomalous_rows),
    )


def unpack(text: object, count: int, recipe: Recipe) -> Rows:
    """Rows of length 1 from what `pack` made of so many. Raises RecipeError."""
    from clipspect.base.errors import RecipeError

    try:
        found = np.frombuffer(base64.b64decode(str(text), validate=True), "<f2").reshape(count, -1).astype(np.float32)
    except (ValueError, binascii.Error) as error:
        raise RecipeError(f"recipe {recipe.name!r}: its {STATE_FEATURES} cannot be read: make it again") from error
    if found.shape[1] != recipe.text_features.shape[-1] or not np.isfinite(found).all():
        raise RecipeError(f"recipe {recipe.name!r}: its {STATE_FEATURES} cannot be read: make it again")
    return _unit(found)


def _unit(rows: Rows) -> Rows:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    found: Rows = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
    return found


def closest(states: Sequence[EmbeddedStates], embedding: Rows, count: int) -> list[tuple[State, str, float]]:
    """Of each state the words nearest to an embedding (D,) of length 1, and their cosines."""
    found = []
    for own in states:
        cosines = own.rows @ embedding
        found += [(own.state, own.words[place], float(cosines[place])) for place in np.argsort(-cosines)[:count]]
    return found
