"""AnomalyCLIP over loaded weights: the graph, and the reference that it must equal."""

from __future__ import annotations

from collections.abc import Callable

from clipspect_export.methods.anomalyclip.graph import TEMPERATURE, AnomalyClip, require_layers
from clipspect_export.methods.anomalyclip.options import METHOD, AnomalyClipOptions
from clipspect_export.methods.anomalyclip.reference import AnomalyClipReference
from clipspect_export.methods.learned_model import learned_model, read_prompts
from clipspect_export.methods.maps import require_sigma
from clipspect_export.methods.model import GraphForm, Model
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.config import ClipConfig

PARITY = 1e-4  # between graph and reference: a ViT-L at 518 pixels sums much, and its maps are sums over layers


def plan(config: ClipConfig, options: AnomalyClipOptions) -> Callable[[Clip], Model]:
    """What makes the model once CLIP is loaded. Raises ExportError."""
    layers = require_layers(options.layers, config)
    sigma = require_sigma(options.sigma, min(config.image_size))
    checkpoint, prompts = read_prompts(options.checkpoint, METHOD.name, config)

    def model(clip: Clip) -> Model:
        tower, config = clip.visual, clip.config
        form = GraphForm(
            module=lambda: AnomalyClip(tower, config, layers=layers, sigma=sigma),
            reference=AnomalyClipReference(tower, config, layers=layers, sigma=sigma),
            map_range=(0.0, float(len(layers))),  # a sum of probabilities
        )
        parameters = {"layers": list(layers), "sigma": sigma, "temperature": TEMPERATURE}
        return learned_model(clip, form, checkpoint, prompts, PARITY, parameters)

    return model
