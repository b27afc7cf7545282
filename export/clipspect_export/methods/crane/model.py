"""Crane over loaded weights: the graph, and the reference that it must equal."""

from __future__ import annotations

from collections.abc import Callable

from clipspect_export.methods.crane.graph import TEMPERATURE, Crane
from clipspect_export.methods.crane.options import METHOD, CraneOptions
from clipspect_export.methods.crane.reference import CraneReference
from clipspect_export.methods.learned_model import learned_model, read_prompts
from clipspect_export.methods.maps import require_sigma
from clipspect_export.methods.model import GraphForm, Model
from clipspect_export.methods.two_paths import require_two_paths
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.config import ClipConfig

PARITY = 1e-5  # between graph and reference, on scores and maps


def plan(config: ClipConfig, options: CraneOptions) -> Callable[[Clip], Model]:
    """What makes the model once CLIP is loaded. Raises ExportError."""
    require_two_paths(config)
    sigma = require_sigma(options.sigma, min(config.image_size))
    checkpoint, prompts = read_prompts(options.checkpoint, METHOD.name, config)

    def model(clip: Clip) -> Model:
        tower, config = clip.visual, clip.config
        form = GraphForm(
            module=lambda: Crane(tower, config, sigma=sigma),
            reference=CraneReference(tower, config, sigma=sigma),
            map_range=(0.0, 1.0),  # a probability
        )
        return learned_model(clip, form, checkpoint, prompts, PARITY, {"sigma": sigma, "temperature": TEMPERATURE})

    return model
