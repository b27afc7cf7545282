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

PARITY = 1e-5  # between graph and reference, on scores and maps; of a subspace in parts of the map's mean
NEAREST_RANGE = (0.0, 1.0)  # 1 minus a cosine: what is like nothing that was seen is around 0.5 and above
JOINED_RANGE = (0.0, 6.0)  # in spreads: patches of good parts are 1 apart in the mean, the farthest of a photo about 3
# Nobody knows how much a product's patches leave over: a calibrated limit is to take the place of the range's middle.
SUBSPACE_RANGE = (0.0, 100.0)
FEATURES_NAME = "patches"  # of what a subspace is made of

_CHECK_SEED = 7


def plan(config: DinoConfig, options: MemoryOptions) -> Callable[[Dino], Model]:
    """What makes the model once the tower is loaded. Raises ExportError."""
    blocks = require_blocks(options.blocks, config.layers, config.name)
    sigma = require_sigma(options.sigma, min(config.image.height, config.image.width))
    largest(options.share, config.grid[0] * config.grid[1])
    setting = Setting(options.scorer, blocks, options.share, sigma, config.image, config.grid)
    rank = min(options.rank or config.width, config.width)

    def model(dino: Dino) -> Model:
        form = memory_form(
            setting,
            config.width,
            lambda: dino_encoder(dino, setting),
            lambda image: dino_patches(dino, setting, image),
            rank,
        )
        return Model(forms={PHOTOS: form}, tolerance=PARITY, parameters=setting.parameters)

    return model


def memory_form(
    setting: Setting, width: int, encoder: Callable[[], PatchEncoder], read: ReadPatches, rank: int = 0
) -> GraphForm:
    """The graph of a setting over any tower of that width; a subspace has at most `rank` components."""
    subspace = setting.scorer == SUBSPACE
    fixed: dict[str, torch.Tensor] = {}
    if subspace:
        fixed = _check_subspace(width, rank)
    elif len(setting.blocks) > 1:
        fixed = {SPREAD: 0.5 + torch.arange(len(setting.blocks)) / len(setting.blocks)}  # one another for each
    joined = JOINED_RANGE if SPREAD in fixed else NEAREST_RANGE
    return GraphForm(
        module=lambda: memory(encoder(), setting),
        reference=MemoryReference(read, setting),
        map_range=SUBSPACE_RANGE if subspace else joined,
        galleries={} if subspace else dict.fromkeys(setting.galleries, width),
        rows=(FEATURES_NAME,) if subspace else setting.galleries,
        fixed=fixed,
        reads_words=False,
        relative=subspace,
    )


def _check_subspace(width: int, rank: int) -> dict[str, torch.Tensor]:
    """A mean and half as many orthogonal components as there can be, the others 0, as a box has them."""
    generator = torch.Generator().manual_seed(_CHECK_SEED)
    directions, _ = torch.linalg.qr(torch.randn(width, max(1, rank // 2), generator=generator, dtype=torch.float64))
    components = torch.zeros(rank, width)
    components[: directions.shape[1]] = directions.T
    return {MEAN: 0.1 * torch.randn(width, generator=generator), COMPONENTS: components}
