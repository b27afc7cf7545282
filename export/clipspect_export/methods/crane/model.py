"""Crane over loaded weights: the graph, and the reference that it must equal."""

from __future__ import annotations

from collections.abc import Callable

from clipspect.base.errors import ExportError
from clipspect.engines.graph import PHOTOS, WORDS
from clipspect.recipes.prompts import MEAN_OF_EMBEDDINGS
from clipspect_export.methods.checkpoint import Checkpoint, read_checkpoint
from clipspect_export.methods.crane.graph import TEMPERATURE, Crane
from clipspect_export.methods.crane.options import METHOD, CraneOptions
from clipspect_export.methods.crane.reference import CraneReference
from clipspect_export.methods.learned_prompts import learned_prompts, learned_text_features
from clipspect_export.methods.maps import require_sigma
from clipspect_export.methods.memory.clip import clip_memory
from clipspect_export.methods.model import GraphForm, Model
from clipspect_export.methods.two_paths import require_two_paths
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.config import ClipConfig

PARITY = 1e-5  # between graph and reference, on scores and maps


def plan(config: ClipConfig, options: CraneOptions) -> Callable[[Clip], Model]:
    """What makes the model once CLIP is loaded. Raises ExportError."""
    require_two_paths(config)
    sigma = require_sigma(options.sigma, min(config.image_size))
    checkpoint = read_checkpoint(options.checkpoint, METHOD.name)
    _require_own(checkpoint)
    prompts = learned_prompts(checkpoint, config)

    def model(clip: Clip) -> Model:
        tower, config = clip.visual, clip.config
        form = GraphForm(
            module=lambda: Crane(tower, config, sigma=sigma),
            reference=CraneReference(tower, config, sigma=sigma),
            map_range=(0.0, 1.0),  # a probability
        )
        return Model(
            forms={WORDS: form, PHOTOS: clip_memory(tower, config)},
            features=lambda name: learned_text_features(prompts, clip),
            prompts={"learned": checkpoint.described},
            ensemble=None,
            mean=MEAN_OF_EMBEDDINGS,
            tolerance=PARITY,
            parameters={"sigma": sigma, "temperature": TEMPERATURE, "checkpoint": checkpoint.described},
        )

    return model


def _require_own(checkpoint: Checkpoint) -> None:
    """AnomalyCLIP's files have the same section and shapes, and projections besides that no code reads."""
    if any(name.startswith("compound_prompt_projections.") for name in checkpoint.tensors):
        raise ExportError(
            f"{checkpoint.path}: found a checkpoint of anomalyclip (it has compound_prompt_projections), whose prompts "
            "were learned with another attention; expected crane's"
        )
