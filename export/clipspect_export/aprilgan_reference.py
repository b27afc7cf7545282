"""APRIL-GAN, zero-shot, written as its code has it, for the parity record.

It shares nothing with the graph but the weights: the plain tower, torch's interpolation of both states' logits, and
the softmax over them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from clipspect_export.clip import VisionTower
from clipspect_export.config import ClipConfig
from clipspect_export.linear_stages import LinearStage

LOGIT_SCALE = 100.0
STAGES = (6, 12, 18, 24)


class AprilGanReference:
    """Eager zero-shot APRIL-GAN over the plain vision tower."""

    def __init__(self, tower: VisionTower, config: ClipConfig, stages: tuple[LinearStage, ...]) -> None:
        self.tower, self.config, self.stages = tower, config, stages

    @torch.inference_mode()
    def __call__(self, image: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 RGB (N, H, W, 3) and float32 (2, P, D) to score (N,) and anomaly map (N, H, W)."""
        size, grid = self.config.image_size, self.config.grid
        cls, tokens = self.features(self.normalise(image))
        score = self.logits(self.tower.project(cls), text_features).softmax(dim=-1)[:, 1]
        anomaly_map = torch.zeros(len(image), size, size)
        for stage, patches in zip(self.stages, tokens):
            embedded = functional.linear(patches, stage.weight, stage.bias)  # (N, L, D)
            logits = self.logits(embedded, text_features).mT.reshape(-1, 2, grid, grid)
            logits = functional.interpolate(logits, size=(size, size), mode="bilinear", align_corners=True)
            anomaly_map += logits.softmax(dim=1)[:, 1]
        return score, anomaly_map

    def normalise(self, image: Tensor) -> Tensor:
        """uint8 (N, H, W, 3) to what CLIP reads: (N, 3, H, W)."""
        mean, std = torch.tensor(self.config.mean), torch.tensor(self.config.std)
        return ((image.float() / 255 - mean) / std).permute(0, 3, 1, 2)

    @torch.inference_mode()
    def features(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, 3, H, W) to the class token (N, W) and, per stage, the residual stream's patches (N, L, W)."""
        x = self.tower.ln_pre(self.tower.embed(pixels))
        tokens = []
        for number, block in enumerate(self.tower.transformer.resblocks, start=1):
            x = block(x)
            if number in STAGES:
                tokens.append(x[:, 1:])
        return x[:, 0], tokens

    @staticmethod
    def logits(embeddings: Tensor, text_features: Tensor) -> Tensor:
        """(..., D) and (2, P, D) to the logits of both states (..., 2)."""
        embeddings = functional.normalize(embeddings, dim=-1)
        cosines = [(embeddings @ functional.normalize(prompts, dim=-1).T).amax(dim=-1) for prompts in text_features]
        return LOGIT_SCALE * torch.stack(cosines, dim=-1)
