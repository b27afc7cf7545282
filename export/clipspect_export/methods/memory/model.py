"""A memory over loaded weights: the graph, and the reference that it must equal."""

from __future__ import annotations

from collections.abc import Callable

import torch

from clipspect.engines.graph import COMPONENTS, MEAN, PHOTOS, SPREAD
from clipspect_export.methods.maps import require_sigma
from clipspect_export.methods.memory.graph import PatchEncoder, Setting, memory
from clipspect_export.methods.memory.options import SUBSPACE, MemoryOptions, largest, require_blocks
from clipspect_export.methods.memory.reference import MemoryReference, ReadPatches
from clipspect_export.methods.memory.towers import dino_encoder, dino_patches
from clipspect_export.methods.model import GraphForm, Model
from clipspect_export.towers.dino import Dino
from clipspect_export.towers.dino_config import DinoConfig

PARITY = 1e-5  # between graph and reference, on scores and maps, in the graph's scale
NEAREST_RANGE = (0.0, 1.0)  # 1 minus a cosine: what is like nothing that was seen is around 0.5 and above
JOINED_RANGE = (0.0, 6.0)  # in spreads: patches of good parts are 1 apart in the mean, the farthest of a photo about 3
JOINED_SCALE = 3.0  # spreads: limits lie there, where a probability's lie at half of one or below
# Nobody knows how much a product's patches leave over: a calibrated limit is to take the place of the range's middle.
SUBSPACE_RANGE = (0.0, 100.0)
FEATURES_NAME = "patches"  # of what a subspace is made of


def plan(config: DinoConfig, options: MemoryOptions) -> Callable[[Dino], Model]:
    """What makes the model once the tower is loaded. Raises ExportError."""
    blocks = require_blocks(options.blocks, config.layers, config.name)
    sigma = require_sigma(options.sigma, min(config.image.height, config.image.width))
    largest(options.share, config.grid[0] * config.grid[1])
    setting = Setting(options.scorer, blocks, options.share, sigma, config.image, config.grid)

    def model(dino: Dino) -> Model:
        form = memory_form(
            setting,
            config.width,
            lambda: dino_encoder(dino, setting),
            lambda image: dino_patches(dino, setting, image),
        )
        return Model(forms={PHOTOS: form}, tolerance=PARITY, parameters=setting.parameters)

    return model


def memory_form(setting: Setting, width: int, encoder: Callable[[], PatchEncoder], read: ReadPatches) -> GraphForm:
    """The graph of a setting over any tower of that width."""
    subspace = setting.scorer == SUBSPACE
    fixed: dict[str, torch.Tensor] = {}
    map_range: tuple[float, float] = NEAREST_RANGE
    scale: float | None = 1.0
    if subspace:
        fixed = {MEAN: torch.zeros(width), COMPONENTS: torch.zeros(width, width)}
        map_range, scale = SUBSPACE_RANGE, None
    elif len(setting.blocks) > 1:
        fixed = {SPREAD: torch.ones(len(setting.blocks))}
        map_range, scale = JOINED_RANGE, JOINED_SCALE
    reference = MemoryReference(read, setting)
    return GraphForm(
        module=lambda: memory(encoder(), setting),
        reference=reference,
        map_range=map_range,
        galleries={} if subspace else dict.fromkeys(setting.galleries, width),
        rows=(FEATURES_NAME,) if subspace else setting.galleries,
        fixed=fixed,
        remembered=reference.remembered if fixed else None,
        reads_words=False,
        scale=scale,
    )
