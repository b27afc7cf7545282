"""What AnomalyCLIP and Crane make of loaded weights alike: a model whose one recipe is of learned prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clipspect.base.errors import ExportError
from clipspect.engines.graph import PHOTOS, WORDS
from clipspect.recipes.prompts import MEAN_OF_EMBEDDINGS, EmbeddedWords
from clipspect_export.methods.checkpoint import Checkpoint, read_checkpoint
from clipspect_export.methods.learned_prompts import LearnedPrompts, learned_prompts, learned_text_features
from clipspect_export.methods.memory.clip import clip_memory
from clipspect_export.methods.model import GraphForm, Model
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.config import ClipConfig

ANOMALYCLIP = "anomalyclip"
PROJECTIONS = "compound_prompt_projections."  # in AnomalyCLIP's files alone; its own code does not read them


def read_prompts(path: str | Path | None, method: str, config: ClipConfig) -> tuple[Checkpoint, LearnedPrompts]:
    """A method's checkpoint and the prompts in it. Raises ExportError, also where it is known to be the other method's.

    Both have one section and the same shapes, but the prompts were learned with another attention. AnomalyCLIP's code
    writes projections besides; a file without them may be Crane's, or AnomalyCLIP's without what its code never reads.
    """
    checkpoint = read_checkpoint(path, method)
    if method != ANOMALYCLIP and any(name.startswith(PROJECTIONS) for name in checkpoint.tensors):
        raise ExportError(
            f"{checkpoint.path}: found a checkpoint of {ANOMALYCLIP} (it has {PROJECTIONS[:-1]}), whose prompts were "
            f"learned with another attention; expected {method}'s"
        )
    return checkpoint, learned_prompts(checkpoint, config)


def learned_model(
    clip: Clip,
    form: GraphForm,
    checkpoint: Checkpoint,
    prompts: LearnedPrompts,
    tolerance: float,
    parameters: dict[str, Any],
) -> Model:
    """The model with the graph of words and the memory of the tower."""
    return Model(
        forms={WORDS: form, PHOTOS: clip_memory(clip.visual, clip.config)},
        words=lambda name: EmbeddedWords(learned_text_features(prompts, clip), {"learned": checkpoint.described}),
        ensemble=None,
        mean=MEAN_OF_EMBEDDINGS,
        tolerance=tolerance,
        parameters={**parameters, "checkpoint": checkpoint.described},
    )
