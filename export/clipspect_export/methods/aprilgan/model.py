"""APRIL-GAN over loaded weights: the graphs, and the references that they must equal."""

from __future__ import annotations

from collections.abc import Callable

import torch

from clipspect.engines.graph import BOTH, PHOTOS, WORDS
from clipspect.recipes.galleries import MAP_LIMITS
from clipspect.recipes.prompts import MEAN_OF_UNIT_EMBEDDINGS
from clipspect_export.methods.aprilgan.graph import (
    FEW_SHOT_RANGE,
    LAYERS,
    LOGIT_SCALE,
    AprilGan,
    FewShotAprilGan,
    galleries,
    require_depth,
)
from clipspect_export.methods.aprilgan.linear_stages import linear_stages
from clipspect_export.methods.aprilgan.options import METHOD, AprilGanOptions
from clipspect_export.methods.aprilgan.reference import AprilGanReference, FewShotAprilGanReference
from clipspect_export.methods.checkpoint import read_checkpoint
from clipspect_export.methods.memory.clip import clip_memory
from clipspect_export.methods.model import GraphForm, Model
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.config import ClipConfig
from clipspect_export.towers.prompts import method_prompts

PARITY = 1e-4  # between graph and reference: a ViT-L at 518 pixels sums much, and its maps are sums over layers


def plan(config: ClipConfig, options: AprilGanOptions) -> Callable[[Clip], Model]:
    """What makes the model once CLIP is loaded. Raises ExportError, RecipeError."""
    require_depth(config)
    checkpoint = read_checkpoint(options.checkpoint, METHOD.name)
    stages = linear_stages(checkpoint, config)
    prompts = method_prompts("aprilgan", MEAN_OF_UNIT_EMBEDDINGS, options.ensemble, options.prompt_fusion)

    def model(clip: Clip) -> Model:
        tower, config = clip.visual, clip.config
        return Model(
            forms={
                WORDS: GraphForm(
                    module=lambda: AprilGan(tower, config, stages),
                    reference=AprilGanReference(tower, config, stages),
                    map_range=(0.0, float(len(LAYERS))),  # a sum of probabilities
                ),
                BOTH: GraphForm(
                    module=lambda: FewShotAprilGan(tower, config, stages),
                    reference=FewShotAprilGanReference(tower, config, stages),
                    map_range=FEW_SHOT_RANGE,
                    galleries=galleries(config),
                    fixed={MAP_LIMITS: torch.tensor(FEW_SHOT_RANGE)},
                ),
                PHOTOS: clip_memory(tower, config),
            },
            words=lambda name: prompts.words(name, clip),
            ensemble=prompts.own,
            mean=prompts.mean,
            tolerance=PARITY,
            parameters={
                "layers": list(LAYERS),
                "logit_scale": LOGIT_SCALE,
                "checkpoint": checkpoint.described,
            },
        )

    return model
