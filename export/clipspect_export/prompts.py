"""From an object's name to text features: a prompt ensemble, the tokenizer, and the text tower."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import torch
from clipspect.errors import ExportError

from clipspect_export.clip import Clip

tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

BATCH = 64  # prompts through the text tower at once


@dataclass(frozen=True)
class Ensemble:
    """States of an object and the templates around them; `{}` is the place of what goes inside."""

    normal: tuple[str, ...]
    anomalous: tuple[str, ...]
    templates: tuple[str, ...]

    def prompts(self, object_name: str) -> tuple[list[str], list[str]]:
        """All normal and all anomalous prompts: every template filled with every state, states outermost."""
        return self._fill(self.normal, object_name), self._fill(self.anomalous, object_name)

    def _fill(self, states: tuple[str, ...], object_name: str) -> list[str]:
        named = [state.replace("{}", object_name) for state in states]
        return [template.replace("{}", state) for state in named for template in self.templates]


def read_ensemble(name: str) -> Ensemble:
    """The ensemble of `data/<name>.toml`."""
    document = tomllib.loads((files("clipspect_export") / "data" / f"{name}.toml").read_text(encoding="utf-8"))
    return Ensemble(*(tuple(document[key]) for key in ("normal", "anomalous", "templates")))


def tokenize(prompts: list[str], clip: Clip) -> torch.Tensor:
    """CLIP's token ids (len(prompts), T), zero after the end of text; T is the longest prompt's length.

    Attention is causal and the embedding is read at the end of text, so that what follows it need not be computed.
    Raises ExportError for a prompt that is longer than the context.
    """
    from open_clip.tokenizer import SimpleTokenizer

    context, vocabulary = clip.config.context_length, clip.config.vocab_size
    tokenizer = SimpleTokenizer(context_length=context)
    if tokenizer.vocab_size != vocabulary:
        raise ExportError(
            f"the vocabulary has {vocabulary} tokens, CLIP's tokenizer {tokenizer.vocab_size}: not supported"
        )
    lengths = [len(tokenizer.encode(prompt)) + 2 for prompt in prompts]  # with start and end of text
    if max(lengths) > context:
        longest = prompts[lengths.index(max(lengths))]
        raise ExportError(
            f"{max(lengths)} tokens in {longest!r:.120}, the text tower reads {context}: shorten the object"
        )
    tokens: torch.Tensor = tokenizer(prompts)
    return tokens[:, : max(lengths)]


@torch.inference_mode()
def embed_prompts(prompts: list[str], clip: Clip) -> torch.Tensor:
    """Unnormalised text embeddings (len(prompts), D), float32."""
    tokens = tokenize(prompts, clip)
    return torch.cat([clip.encode_text(tokens[at : at + BATCH]) for at in range(0, len(tokens), BATCH)])


def text_features(ensemble: Ensemble, object_name: str, clip: Clip) -> npt.NDArray[np.float32]:
    """(2, 1, D): per state, normal first, the mean of its prompts' unnormalised embeddings, as anomalib takes it."""
    normal, anomalous = ensemble.prompts(object_name)
    embeddings = embed_prompts(normal + anomalous, clip)
    means = [part.mean(dim=0, keepdim=True) for part in (embeddings[: len(normal)], embeddings[len(normal) :])]
    return torch.stack(means).numpy()
