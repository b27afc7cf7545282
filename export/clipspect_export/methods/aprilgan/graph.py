"""APRIL-GAN (Chen et al. 2023): linear layers take the patches of four stages to where the text is.

Letters in shapes: N images, L patches, T = 1 + L tokens, K = 4 stages, W width, D embedding.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from clipspect.base.errors import ExportError
from clipspect_export.methods.aprilgan.linear_stages import LinearStage
from clipspect_export.methods.maps import Upsampling, corner_bilinear_matrix
from clipspect_export.methods.scoring import cosine_difference, distance, unit
from clipspect_export.towers.clip import Block, VisionTower
from clipspect_export.towers.config import ClipConfig
from clipspect_export.towers.encoder import EncoderBlock, TokenEmbedding
from clipspect_export.towers.layers import Linear

LOGIT_SCALE = 100.0  # of the cosines: CLIP's own, and a constant in the official code
LAYERS = (6, 12, 18, 24)  # the blocks whose patches are read, counted from 1
DEPTH = LAYERS[-1]
# What overlays and the default limit of regions go by: that of the zero-shot map, so that half of the stages still
# make a region. Distances are added, each up to 2, and the sum can reach 12; but patches of the residual stream have
# much in common, a distance is mostly some tenths, and a range to 12 would draw no heat and find no region.
FEW_SHOT_RANGE = (0.0, float(len(LAYERS)))


class StageEncoder(nn.Module):
    """The vision tower, read at four stages, and the trained layers."""

    def __init__(self, tower: VisionTower, config: ClipConfig, stages: tuple[LinearStage, ...]) -> None:
        super().__init__()
        self.embed = TokenEmbedding(tower, config)
        self.blocks = nn.ModuleList(
            EncoderBlock(cast(Block, block), config.activation) for block in tower.transformer.resblocks
        )
        self.stages = nn.ModuleList(Linear(stage.weight, stage.bias) for stage in stages)
        self.ln_post, self.proj = tower.ln_post, tower.proj

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """uint8 RGB (N, H, W, 3) to embeddings of the class token and all stages' patches, and the raw patch tokens.

        The former are (N, 1 + K * L, D), not normalised; the latter K of (N, L, W).
        """
        x = self.embed(image)  # (N, T, W)
        patches = []
        for number, block in enumerate(self.blocks, start=1):
            x = block(x)
            if number in LAYERS:
                patches.append(x[:, 1:])
        embedded = [stage(tokens) for stage, tokens in zip(self.stages, patches)]  # K of (N, L, D)
        return torch.cat([self.ln_post(x[:, :1]) @ self.proj, *embedded], dim=1), patches


class AprilGan(nn.Module):
    """The zero-shot graph: uint8 images and text features to scores, anomaly maps and the images' embeddings."""

    def __init__(self, tower: VisionTower, config: ClipConfig, stages: tuple[LinearStage, ...]) -> None:
        super().__init__()
        require_depth(config)
        self.grid = config.grid
        self.encoder = StageEncoder(tower, config, stages)
        self.upsample = Upsampling(config, corner_bilinear_matrix)

    def forward(self, image: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """uint8 RGB (N, H, W, 3) and float32 (2, P, D) to score (N,) in (0, 1) and anomaly map (N, H, W) in (0, K).

        Third come the images' embeddings (N, D), of length 1.
        """
        embeddings, _ = self.encoder(image)
        return *self.compare_with_text(embeddings, text_features), unit(embeddings[:, 0])

    def compare_with_text(self, embeddings: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 1 + K * L, D), the class token's first, and (2, P, D) to score (N,) and anomaly map (N, H, W).

        The logits are upsampled before the softmax over the states. Upsampling is linear, so that it takes the
        difference of the two states' logits, of which a sigmoid is the softmax.
        """
        logits = LOGIT_SCALE * cosine_difference(embeddings, text_features)  # (N, 1 + K * L)
        grids = logits[:, 1:].reshape(-1, len(LAYERS), *self.grid)
        maps = torch.sigmoid(self.upsample(grids))  # (N, K, H, W)
        return torch.sigmoid(logits[:, 0]), maps.sum(dim=1)


class FewShotAprilGan(AprilGan):
    """The few-shot graph: the zero-shot one, and how far the patches of each stage are from those of references."""

    def forward(  # type: ignore[override]
        self, image: Tensor, text_features: Tensor, map_limits: Tensor, *references: Tensor
    ) -> tuple[Tensor, ...]:
        """Besides the zero-shot graph's inputs [low, high] (2,), and of each stage a gallery of unit rows (R, W).

        Returns score (N,), anomaly map (N, H, W), a sum of K probabilities and K distances, the image's embedding
        (N, D), its own rows (N, L, W) for each gallery, and the score and the map of the zero-shot graph. The paper
        takes the mean of the text's score and the map's maximum, normalised by the least and the largest that the
        maxima of a test set reach: here by `map_limits`, and not clamped.
        """
        embeddings, patches = self.encoder(image)
        rows = [unit(tokens) for tokens in patches]
        words_score, words_map = self.compare_with_text(embeddings, text_features)
        distances = torch.stack([distance(own, gallery) for own, gallery in zip(rows, references)]).sum(dim=0)  # (N, L)
        anomaly_map = words_map + self.upsample(distances.reshape(-1, *self.grid))
        low, high = map_limits[0], map_limits[1]
        score = (words_score + (anomaly_map.amax(dim=(1, 2)) - low) / (high - low)) / 2
        return score, anomaly_map, unit(embeddings[:, 0]), *rows, words_score, words_map


def galleries(config: ClipConfig) -> dict[str, int]:
    """The few-shot graph's galleries in its order, and the width of their rows."""
    return {f"layer_{layer}": config.vision.width for layer in LAYERS}


def require_depth(config: ClipConfig) -> None:
    """Refuse a vision tower that has not the layers that are read. Raises ExportError."""
    depth = config.vision.layers
    if depth != DEPTH:
        raise ExportError(f"{config.name}: {depth} layers; APRIL-GAN reads 6, 12, 18 and 24 of exactly {DEPTH}")
