"""The memory of a CLIP bundle: the full image through the image tower that is there for words.

The defaults were chosen with the demo model on drawn products and photographs of cookies: docs/memory.md.
"""

from __future__ import annotations

from clipspect_export.methods.memory.graph import Setting
from clipspect_export.methods.memory.model import memory_form
from clipspect_export.methods.memory.options import NEAREST, SIGMA
from clipspect_export.methods.memory.towers import clip_encoder, clip_patches
from clipspect_export.methods.model import GraphForm
from clipspect_export.towers.clip import VisionTower
from clipspect_export.towers.config import ClipConfig

CLIP_SHARE = 2.0  # per cent of the patches whose mean is the score
SIXTHS = (2, 3, 4, 5)  # of the tower's depth, after which patches are read


def clip_memory(tower: VisionTower, config: ClipConfig) -> GraphForm:
    """The graph for photographs alone. It shares the tower's weights with the graphs of words."""
    image = config.image
    grid = image.height // config.patch_size, image.width // config.patch_size
    setting = Setting(NEAREST, blocks_of(config.vision.layers), CLIP_SHARE, SIGMA, image, grid)
    return memory_form(
        setting,
        config.vision.width,
        lambda: clip_encoder(tower, config, setting),
        lambda pixels: clip_patches(tower, config, setting, pixels),
    )


def blocks_of(depth: int) -> tuple[int, ...]:
    """The blocks, from 1, that are read of a tower."""
    return tuple(sorted({max(1, round(depth * sixth / 6)) for sixth in SIXTHS}))
