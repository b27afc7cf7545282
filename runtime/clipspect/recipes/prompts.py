"""Words to text features: prompt ensembles as data, and prompt fusion. What embeds a prompt is the caller's.

A prompt is a template filled with a state, which is filled with the object's name; `{}` is the place of what goes
inside. The shipped ensembles are the TOML files in `ensembles`; a user's own has the same three lists.
"""

from __future__ import annotations

import base64
import dataclasses
import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.document import MismatchError, build
from clipspect.base.errors import RecipeError

tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

Embeddings = npt.NDArray[np.float32]
Embed = Callable[[list[str]], Embeddings]  # n prompts to their unnormalised embeddings (n, D)

PLACE = "{}"  # of a state in a template, and of the object in a state
MEAN, MAX = "mean", "max"  # prompt fusion
STATES = "normal", "anomalous"
STATE_FEATURES = "state_features"  # what a recipe's prompts keep of each state: see recipes/state_features.py
MEAN_OF_EMBEDDINGS, MEAN_OF_UNIT_EMBEDDINGS = "embeddings", "unit embeddings"  # what fusion "mean" averages
SUFFIX = ".toml"
_DATA = files("clipspect.recipes") / "ensembles"
ENSEMBLES = tuple(sorted(item.name.removesuffix(SUFFIX) for item in _DATA.iterdir() if item.name.endswith(SUFFIX)))


@dataclass(frozen=True)
class Ensemble:
    """The states that an object can be in, and the templates around them. Raises RecipeError for a missing `{}`."""

    normal: tuple[str, ...]
    anomalous: tuple[str, ...]
    templates: tuple[str, ...]

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            texts = getattr(self, item.name)
            if not texts:
                raise RecipeError(f"{item.name}: the list is empty, expected at least one text")
            for text in texts:
                if PLACE not in text:
                    inside = "state" if item.name == "templates" else "object"
                    raise RecipeError(f"{item.name}: {text!r:.120} has no place for the {inside}: write {PLACE} there")

    def prompts(self, object_name: str) -> tuple[list[str], list[str]]:
        """All normal and all anomalous prompts: every template filled with every state, states outermost."""
        _require_object(object_name)
        return self._fill(self.normal, object_name), self._fill(self.anomalous, object_name)

    def _fill(self, states: tuple[str, ...], object_name: str) -> list[str]:
        named = [state.replace(PLACE, object_name) for state in states]
        return [template.replace(PLACE, state) for state in named for template in self.templates]

    def words(self, fusion: str) -> dict[str, Any]:
        """What a recipe records as its `prompts`: the three lists, and the fusion."""
        return {**{key: list(texts) for key, texts in dataclasses.asdict(self).items()}, "fusion": fusion}


def read_ensemble(name_or_path: str | os.PathLike[str]) -> Ensemble:
    """One of ENSEMBLES by name, or a TOML file with the lists normal, anomalous and templates. Raises RecipeError."""
    shipped = name_or_path in ENSEMBLES
    path = _DATA / f"{name_or_path}{SUFFIX}" if shipped else Path(name_or_path)
    try:
        return build(Ensemble, tomllib.loads(path.read_text(encoding="utf-8-sig")), "ensemble")
    except FileNotFoundError as error:
        raise RecipeError(
            f"{name_or_path}: no such ensemble; there are: {', '.join(ENSEMBLES)}; or give a {SUFFIX} file"
        ) from error
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror or error}): give a {SUFFIX} file") from error
    except MismatchError as error:
        raise RecipeError(f"{path}: {error}: expected the lists of texts normal, anomalous and templates") from error
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path}: not readable as TOML ({error}): correct the file") from error


def own_prompts(normal: Sequence[str], anomalous: Sequence[str], object_name: str) -> Ensemble:
    """A user's own complete prompts as an ensemble whose one template is `{}`.

    Each holds `{}` or the object's name, in capitals or not, as a word of its own. Raises RecipeError.
    """
    _require_object(object_name)
    states = [tuple(_with_place(prompt, object_name) for prompt in prompts) for prompts in (normal, anomalous)]
    return Ensemble(states[0], states[1], templates=(PLACE,))


@dataclass(frozen=True, eq=False)
class EmbeddedWords:
    """An object's text features, and what a recipe says of its prompts."""

    features: Embeddings
    recorded: dict[str, Any]


def text_features(
    ensemble: Ensemble, object_name: str, embed: Embed, *, fusion: str = MEAN, mean: str = MEAN_OF_EMBEDDINGS
) -> Embeddings:
    """The text features of `embedded_words`. Raises RecipeError."""
    return embedded_words(ensemble, object_name, embed, fusion=fusion, mean=mean).features


def embedded_words(
    ensemble: Ensemble, object_name: str, embed: Embed, *, fusion: str = MEAN, mean: str = MEAN_OF_EMBEDDINGS
) -> EmbeddedWords:
    """An object's text features, float32 (2, P, D), normal first, and beside them what explains a result by words.

    `embed` gives unnormalised embeddings, float32 (n, D); it is called once. Fusion "mean" averages the prompts of a
    state, P = 1: the embeddings as they are (anomalib's WinCLIP), or with `mean` "unit embeddings" those of length 1
    to a mean of length 1 (APRIL-GAN). Fusion "max" keeps every prompt, and the graph scores by a state's largest
    cosine; the shorter state repeats its first prompt, which changes no maximum. Raises RecipeError.
    """
    require_fusion(fusion)
    if mean not in (MEAN_OF_EMBEDDINGS, MEAN_OF_UNIT_EMBEDDINGS):
        raise RecipeError(f"mean {mean!r} is not known to this clipspect: upgrade it, or export the bundle again")
    normal, anomalous = ensemble.prompts(object_name)
    embeddings = embed(normal + anomalous)
    states = embeddings[: len(normal)], embeddings[len(normal) :]
    recorded = ensemble.words(fusion)
    if fusion == MAX:
        longest = max(map(len, states))
        every = [state[[*range(len(state)), *[0] * (longest - len(state))]] for state in states]
        return EmbeddedWords(np.stack(every), recorded)
    average = _plain_mean if mean == MEAN_OF_EMBEDDINGS else _unit_mean
    rows = [average(state) for state in embeddings.reshape(-1, len(ensemble.templates), embeddings.shape[-1])]
    recorded[STATE_FEATURES] = _packed(np.concatenate(rows))
    return EmbeddedWords(np.stack([average(state) for state in states]), recorded)


def require_fusion(fusion: str) -> str:
    """The prompt fusion itself. Raises RecipeError when there is no such."""
    if fusion not in (MEAN, MAX):
        raise RecipeError(f"prompt fusion {fusion!r}: expected {MEAN} or {MAX}")
    return fusion


def _require_object(object_name: str) -> None:
    if not object_name.strip():
        raise RecipeError("the object has no name: say in a word or two what is inspected")


def _with_place(prompt: str, object_name: str) -> str:
    if PLACE not in prompt:
        whole = rf"(?<!\w){re.escape(object_name.strip())}(?!\w)"  # no nut in a minute
        prompt, found = re.subn(whole, lambda match: PLACE, prompt, flags=re.IGNORECASE)
        if not found:
            raise RecipeError(
                f"{prompt!r:.120} has no place for the object: write {PLACE} where {object_name!r:.80} belongs"
            )
    return prompt


def _packed(rows: Embeddings) -> str:
    """Rows of length 1, (n, D), in float16 as text."""
    return base64.b64encode(_unit(rows.astype(np.float64)).astype("<f2").tobytes()).decode()


def _plain_mean(embeddings: Embeddings) -> Embeddings:
    mean: npt.NDArray[np.float64] = embeddings.mean(axis=0, keepdims=True, dtype=np.float64)
    return mean.astype(np.float32)


def _unit_mean(embeddings: Embeddings) -> Embeddings:
    mean = _unit(embeddings.astype(np.float64)).mean(axis=0, keepdims=True)
    return _unit(mean).astype(np.float32)


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    lengths: npt.NDArray[np.float64] = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / lengths
