"""The towers that a memory reads: DINOv2, and the image tower of a CLIP; as a graph has them, and plainly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from clipspect_export.methods.memory.graph import PatchEncoder, Setting
from clipspect_export.methods.memory.options import NEAREST
from clipspect_export.towers.clip import Block, VisionTower
from clipspect_export.towers.config import ClipConfig
from clipspect_export.towers.dino import Block as DinoBlock
from clipspect_export.towers.dino import Dino
from clipspect_export.towers.dino_encoder import DinoEmbedding, encoder_block
from clipspect_export.towers.encoder import EncoderBlock, TokenEmbedding


class ClassProjection(nn.Module):
    """CLIP's class token to the image's embedding, as the graphs of words have it."""

    def __init__(self, tower: VisionTower) -> None:
        super().__init__()
        self.ln_post, self.proj = tower.ln_post, tower.proj

    def forward(self, x: Tensor) -> Tensor:
        return self.ln_post(x) @ self.proj  # type: ignore[no-any-return]


def dino_encoder(dino: Dino, setting: Setting) -> PatchEncoder:
    """Patches to be compared with their nearest come after the final norm, of a subspace as the blocks leave them."""
    blocks = [encoder_block(cast(DinoBlock, block)) for block in dino.blocks]
    norm = dino.norm if setting.scorer == NEAREST else None
    return PatchEncoder(DinoEmbedding(dino), blocks, setting, norm=norm, head=dino.norm)


def clip_encoder(tower: VisionTower, config: ClipConfig, setting: Setting) -> PatchEncoder:
    """Patches as the blocks leave them."""
    blocks = [EncoderBlock(cast(Block, block), config.activation) for block in tower.transformer.resblocks]
    return PatchEncoder(TokenEmbedding(tower, config), blocks, setting, norm=None, head=ClassProjection(tower))


@torch.inference_mode()
def dino_patches(dino: Dino, setting: Setting, image: Tensor) -> tuple[Tensor, list[Tensor]]:
    """uint8 RGB (N, H, W, 3) to embeddings (N, W) and, of each block that is read, patches (N, L, W)."""
    x = dino.embed(_normalised(image, dino.config.mean, dino.config.std))
    end, tokens = _through(dino.blocks, setting, x)
    first = 1 + dino.config.registers
    patches = [(dino.norm(read) if setting.scorer == NEAREST else read)[:, first:] for read in tokens]
    return patches[-1].mean(dim=1) if end is None else dino.norm(end)[:, 0], patches


@torch.inference_mode()
def clip_patches(
    tower: VisionTower, config: ClipConfig, setting: Setting, image: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """uint8 RGB (N, H, W, 3) to embeddings (N, D) and, of each block that is read, patches (N, L, W)."""
    x = tower.ln_pre(tower.embed(_normalised(image, config.mean, config.std)))
    end, tokens = _through(tower.transformer.resblocks, setting, x)
    patches = [read[:, 1:] for read in tokens]
    return patches[-1].mean(dim=1) if end is None else tower.project(end[:, 0]), patches


def _through(blocks: Iterable[nn.Module], setting: Setting, x: Tensor) -> tuple[Tensor | None, list[Tensor]]:
    """Tokens (N, T, W) through the blocks: after the last, None where it is not read; and after each that is."""
    read = {}
    for number, block in enumerate(blocks, start=1):
        x = block(x)
        read[number] = x
    return read[number] if number in setting.blocks else None, [read[number] for number in setting.blocks]


def _normalised(image: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 (N, H, W, 3) to what a tower reads: (N, 3, H, W)."""
    return ((image.float() / 255 - torch.tensor(mean)) / torch.tensor(std)).permute(0, 3, 1, 2)
