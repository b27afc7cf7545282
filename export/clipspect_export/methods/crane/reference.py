"""Crane written as the paper and its code have it, for the parity record.

It shares nothing with the graph but CLIP's weights: the plain tower, its own attentions, torch's interpolation, and a
Gaussian filter that slides over the map.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from clipspect_export.methods.eager import anomalous_probability, gaussian_filter, normalised
from clipspect_export.towers.clip import Block, VisionTower
from clipspect_export.towers.config import ClipConfig

TEMPERATURE = 0.07
FIRST_CORRELATION_BLOCK = 6  # counted from 1


class CraneReference:
    """Eager Crane over the plain vision tower."""

    def __init__(self, tower: VisionTower, config: ClipConfig, *, sigma: float) -> None:
        self.tower, self.config, self.sigma = tower, config, sigma

    @torch.inference_mode()
    def __call__(self, image: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """uint8 RGB (N, H, W, 3) and float32 (2, P, D) to score (N,), anomaly map (N, H, W) and unit embeddings."""
        size, grid = self.config.image_size, self.config.grid
        cls, patches = self.features(normalised(image, self.config))
        probability = anomalous_probability(patches, text_features, TEMPERATURE)  # (N, L)
        _, fused = fuse(cls, patches, probability)
        score = anomalous_probability(fused, text_features, TEMPERATURE)
        values = probability.reshape(-1, 1, *grid)
        anomaly_map = functional.interpolate(values, size=size, mode="bilinear", align_corners=False)[:, 0]
        return score, gaussian_filter(anomaly_map, self.sigma), cls

    @torch.inference_mode()
    def features(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) to unit embeddings of the image (N, D) and of its patches (N, L, D)."""
        original = self.tower.ln_pre(self.tower.embed(pixels))  # (N, 1 + L, W)
        new = original
        for number, module in enumerate(self.tower.transformer.resblocks, start=1):
            block = cast(Block, module)
            if number >= FIRST_CORRELATION_BLOCK:
                new = new + correlation_attention(block, block.ln_1(original))
                original = block(original)
            else:
                new = original = block(original)
        cls, patches = self.tower.project(original[:, 0]), self.tower.project(new[:, 1:])
        return functional.normalize(cls, dim=-1), functional.normalize(patches, dim=-1)


def fuse(image: Tensor, patches: Tensor, probability: Tensor) -> tuple[Tensor, Tensor]:
    """Unit embeddings (N, D) and (N, L, D), and (N, L), to the pooled and the fused embedding, (N, D) and unit."""
    pooled = functional.normalize((probability[..., None] * patches).sum(dim=1), dim=-1)
    return pooled, functional.normalize(0.5 * pooled + 0.5 * image, dim=-1)


def correlation_attention(block: Block, x: Tensor) -> Tensor:
    """out_proj((softmax(q q^T / sqrt(d)) + softmax(k k^T / sqrt(d)) + softmax(v v^T / sqrt(d))) v) of every head:
    (N, T, W) to (N, T, W)."""
    attention = block.attn
    qkv = functional.linear(x, attention.in_proj_weight, attention.in_proj_bias).chunk(3, dim=-1)
    heads = []
    for q, k, v in zip(*(part.chunk(attention.heads, dim=-1) for part in qkv)):
        weights = [torch.softmax(part @ part.mT / part.shape[-1] ** 0.5, dim=-1) for part in (q, k, v)]
        heads.append(torch.stack(weights).sum(dim=0) @ v)
    return attention.out_proj(torch.cat(heads, dim=-1))  # type: ignore[no-any-return]
