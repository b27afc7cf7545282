"""An object's words through the text tower in torch: text features as the exporter makes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from clipspect.recipes.prompts import MEAN, EmbeddedWords, Ensemble, embedded_words, read_ensemble, require_fusion
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.tokenizer import clip_tokenizer

BATCH = 64  # prompts through the text tower at once


@dataclass(frozen=True)
class MethodPrompts:
    """How a method turns an object's name into text features."""

    own: str  # the method's ensemble by name
    mean: str  # what fusion "mean" averages
    ensemble: Ensemble  # the one that was asked for
    fusion: str

    def features(self, object_name: str, clip: Clip) -> npt.NDArray[np.float32]:
        """(2, P, D), normal first. Raises as `tokenize` does."""
        return self.words(object_name, clip).features

    def words(self, object_name: str, clip: Clip) -> EmbeddedWords:
        """Besides, what a recipe says of them."""
        return embedded_words(
            self.ensemble,
            object_name,
            lambda prompts: embed_prompts(prompts, clip),
            fusion=self.fusion,
            mean=self.mean,
        )


def method_prompts(own: str, mean: str, ensemble: str | Path | None, fusion: str = MEAN) -> MethodPrompts:
    """A method's prompts; `ensemble`, by name or as a TOML file, in place of its own. Raises RecipeError."""
    return MethodPrompts(own, mean, read_ensemble(ensemble or own), require_fusion(fusion))


def tokenize(prompts: list[str], clip: Clip) -> torch.Tensor:
    """CLIP's token ids (len(prompts), T), zero after the end of text; T is the longest prompt's length.

    Attention is causal and the embedding is read at the end of text, so that what follows it need not be computed.
    Raises RecipeError for a prompt that is longer than the context, ExportError for a vocabulary that is not CLIP's.
    """
    return torch.from_numpy(clip_tokenizer(clip.config.vocab_size).encode(prompts, clip.config.context_length))


@torch.inference_mode()
def embed_prompts(prompts: list[str], clip: Clip) -> npt.NDArray[np.float32]:
    """Unnormalised text embeddings (len(prompts), D). Raises as `tokenize` does."""
    tokens = tokenize(prompts, clip)
    return torch.cat([clip.encode_text(tokens[at : at + BATCH]) for at in range(0, len(tokens), BATCH)]).numpy()
