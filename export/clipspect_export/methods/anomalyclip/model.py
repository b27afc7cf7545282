"""AnomalyCLIP over loaded weights: the graph, and the reference that it must equal."""

from __future__ import annotations

from collections.abc import Callable

from clipspect.engines.graph import PHOTOS, WORDS
from clipspect.recipes.prompts import MEAN_OF_EMBEDDINGS
from clipspect_export.methods.anomalyclip.graph import TEMPERATURE, AnomalyClip, require_layers
from clipspect_export.methods.anomalyclip.options import METHOD, AnomalyClipOptions
from clipspect_export.methods.anomalyclip.reference import AnomalyClipReference
from clipspect_export.methods.checkpoint import read_checkpoint
from clipspect_export.methods.learned_prompts import learned_prompts, learned_text_features
from clipspect_export.methods.maps import require_sigma
from clipspect_export.methods.memory.clip import clip_memory
from clipspect_export.methods.model import GraphForm, Model
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.config import ClipConfig

PARITY = 1e-4  # between graph and reference: a ViT-L at 518 pixels sums much, and its maps are sums over layers


def plan(config: ClipConfig, options: AnomalyClipOptions) -> Callable[[Clip], Model]:
    """What makes the model once CLIP is loaded. Raises ExportError."""
    layers = require_layers(options.layers, config)
    sigma = require_sigma(options.sigma, min(config.image_size))
    checkpoint = read_checkpoint(options.checkpoint, METHOD.name)
    prompts = learned_prompts(checkpoint, config)

    def model(clip: Clip) -> Model:
        tower, config = clip.visual, clip.config
        form = GraphForm(
            module=lambda: AnomalyClip(tower, config, layers=layers, sigma=sigma),
            reference=AnomalyClipReference(tower, config, layers=layers, sigma=sigma),
            map_range=(0.0, float(len(layers))),  # a sum of probabilities
        )
        return Model(
            forms={WORDS: form, PHOTOS: clip_memory(tower, config)},
            features=lambda name: learned_text_features(prompts, clip),
            prompts={"learned": checkpoint.described},
            ensemble=None,
            mean=MEAN_OF_EMBEDDINGS,
            tolerance=PARITY,
            parameters={
                "layers": list(layers),
                "sigma": sigma,
                "temperature": TEMPERATURE,
                "checkpoint": checkpoint.described,
            },
        )

    return model
