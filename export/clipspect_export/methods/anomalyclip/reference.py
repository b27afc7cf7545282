"""AnomalyCLIP written as the paper and its code have it, for the parity record.

It shares nothing with the graph but CLIP's weights: the plain tower, its own value-value attention, torch's
interpolation, and a Gaussian filter that slides over the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from clipspect_export.methods.eager import anomalous_probability, gaussian_filter, normalised
from clipspect_export.towers.clip import Block, VisionTower
from clipspect_export.towers.config import ClipConfig

TEMPERATURE = 0.07
FIRST_DPAM_BLOCK = 6  # counted from 1


class AnomalyClipReference:
    """Eager AnomalyCLIP over the plain vision tower."""

    def __init__(self, tower: VisionTower, config: ClipConfig, *, layers: Sequence[int], sigma: float) -> None:
        self.tower, self.config, self.layers, self.sigma = tower, config, tuple(layers), sigma

    @torch.inference_mode()
    def __call__(self, image: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """uint8 RGB (N, H, W, 3) and float32 (2, P, D) to score (N,), anomaly map (N, H, W) and unit embeddings."""
        size, grid = self.config.image_size, self.config.grid
        cls, stages = self.features(normalised(image, self.config))
        score = anomalous_probability(cls, text_features, TEMPERATURE)
        anomaly_map = torch.zeros(len(image), *size)
        for patches in stages:
            values = anomalous_probability(patches, text_features, TEMPERATURE).reshape(-1, 1, *grid)
            anomaly_map += functional.interpolate(values, size=size, mode="bilinear", align_corners=False)[:, 0]
        return score, gaussian_filter(anomaly_map, self.sigma), functional.normalize(cls, dim=-1)

    @torch.inference_mode()
    def features(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, 3, H, W) to image embeddings (N, D) and, per layer, patch embeddings (N, L, D)."""
        original = self.tower.ln_pre(self.tower.embed(pixels))  # (N, 1 + L, W)
        new = original
        stages = []
        for number, module in enumerate(self.tower.transformer.resblocks, start=1):
            block = cast(Block, module)
            if number >= FIRST_DPAM_BLOCK:
                new = new + value_attention(block, block.ln_1(original))
                original = block(original)
            else:
                new = original = block(original)
            if number in self.layers:
                stages.append(self.tower.project(new[:, 1:]))
        return original[:, 0] @ self.tower.proj, stages


def value_attention(block: Block, x: Tensor) -> Tensor:
    """out_proj(softmax(v v^T / sqrt(d)) v) of every head: (N, T, W) to (N, T, W)."""
    attention = block.attn
    width = x.shape[-1]
    v = functional.linear(x, attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :])
    heads = [
        torch.softmax(part @ part.mT / part.shape[-1] ** 0.5, dim=-1) @ part
        for part in v.chunk(attention.heads, dim=-1)
    ]
    return attention.out_proj(torch.cat(heads, dim=-1))  # type: ignore[no-any-return]
