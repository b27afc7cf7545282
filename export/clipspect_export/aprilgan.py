"""APRIL-GAN (Chen et al. 2023), zero-shot: linear layers take the patches of four stages to where the text is.

Letters in shapes: N images, L patches, T = 1 + L tokens, K = 4 stages, W width, D embedding.
"""

from __future__ import annotations

from typing import cast

import torch
from clipspect.errors import ExportError
from torch import Tensor, nn

from clipspect_export.clip import Block, VisionTower
from clipspect_export.config import ClipConfig
from clipspect_export.encoder import EncoderBlock, TokenEmbedding
from clipspect_export.layers import Linear
from clipspect_export.linear_stages import LinearStage
from clipspect_export.maps import corner_bilinear_matrix
from clipspect_export.positions import Interpolation
from clipspect_export.scoring import cosine_difference

LOGIT_SCALE = 100.0  # of the cosines: CLIP's own, and a constant in the official code
LAYERS = (6, 12, 18, 24)  # the blocks whose patches are read, counted from 1
DEPTH = LAYERS[-1]
IMAGE_SIZE = 518  # pixels; ViT-L/14@336 has a grid of 37 x 37 there
POSITION_RESIZE = Interpolation("bicubic", antialias=True)


class AprilGan(nn.Module):
    """The zero-shot graph: uint8 images and text features to scores and anomaly maps."""

    upsampling: Tensor

    def __init__(self, tower: VisionTower, config: ClipConfig, stages: tuple[LinearStage, ...]) -> None:
        super().__init__()
        require_depth(config)
        self.grid = config.grid
        self.embed = TokenEmbedding(tower, config)
        self.blocks = nn.ModuleList(
            EncoderBlock(cast(Block, block), config.activation) for block in tower.transformer.resblocks
        )
        self.stages = nn.ModuleList(Linear(stage.weight, stage.bias) for stage in stages)
        self.ln_post, self.proj = tower.ln_post, tower.proj
        self.register_buffer("upsampling", corner_bilinear_matrix(config.image_size, config.grid))

    def forward(self, image: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 RGB (N, H, W, 3) and float32 (2, P, D) to score (N,) in (0, 1) and anomaly map (N, H, W) in (0, K).

        The logits are upsampled before the softmax over the states. Upsampling is linear, so that it takes the
        difference of the two states' logits, of which a sigmoid is the softmax.
        """
        cls, patches = self.encode(image)
        embedded = [stage(tokens) for stage, tokens in zip(self.stages, patches)]  # K of (N, L, D)
        embeddings = torch.cat([self.ln_post(cls) @ self.proj, *embedded], dim=1)  # (N, 1 + K * L, D)
        logits = LOGIT_SCALE * cosine_difference(embeddings, text_features)  # (N, 1 + K * L)
        grids = logits[:, 1:].reshape(-1, len(LAYERS), self.grid, self.grid)
        maps = torch.sigmoid(self.upsampling @ grids @ self.upsampling.T)  # (N, K, H, W)
        return torch.sigmoid(logits[:, 0]), maps.sum(dim=1)

    def encode(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """uint8 RGB (N, H, W, 3) to the class token (N, 1, W) and, per stage, the raw patch tokens (N, L, W)."""
        x = self.embed(image)  # (N, T, W)
        patches = []
        for number, block in enumerate(self.blocks, start=1):
            x = block(x)
            if number in LAYERS:
                patches.append(x[:, 1:])
        return x[:, :1], patches


def require_depth(config: ClipConfig) -> None:
    """Refuse a vision tower that has not the layers that are read. Raises ExportError."""
    depth = config.vision.layers
    if depth != DEPTH:
        raise ExportError(f"{config.name}: {depth} layers; APRIL-GAN reads 6, 12, 18 and 24 of exactly {DEPTH}")
