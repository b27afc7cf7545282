"""APRIL-GAN written as its code has it, for the parity record.

It shares nothing with the graphs but the weights: the plain tower, torch's interpolation of both states' logits, the
softmax over them, and distances from the references' patches.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from clipspect_export.methods.aprilgan.linear_stages import LinearStage
from clipspect_export.towers.clip import VisionTower
from clipspect_export.towers.config import ClipConfig

LOGIT_SCALE = 100.0
STAGES = (6, 12, 18, 24)


class AprilGanReference:
    """Eager zero-shot APRIL-GAN over the plain vision tower."""

    def __init__(self, tower: VisionTower, config: ClipConfig, stages: tuple[LinearStage, ...]) -> None:
        self.tower, self.config, self.stages = tower, config, stages

    @torch.inference_mode()
    def __call__(self, image: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """uint8 RGB (N, H, W, 3) and float32 (2, P, D) to score (N,), anomaly map (N, H, W) and unit embeddings."""
        cls, tokens = self.features(self.normalise(image))
        return *self.by_text(cls, tokens, text_features), self.embedding(cls)

    def embedding(self, cls: Tensor) -> Tensor:
        """The class token (N, W) to the image's embedding (N, D), of length 1."""
        return functional.normalize(self.tower.project(cls), dim=-1)

    def by_text(self, cls: Tensor, tokens: list[Tensor], text_features: Tensor) -> tuple[Tensor, Tensor]:
        """What `features` gives, and (2, P, D), to score (N,) and anomaly map (N, H, W)."""
        size, grid = self.config.image_size, self.config.grid
        score = self.logits(self.tower.project(cls), text_features).softmax(dim=-1)[:, 1]
        anomaly_map = torch.zeros(len(cls), *size)
        for stage, patches in zip(self.stages, tokens):
            embedded = functional.linear(patches, stage.weight, stage.bias)  # (N, L, D)
            logits = self.logits(embedded, text_features).mT.reshape(-1, 2, *grid)
            logits = functional.interpolate(logits, size=size, mode="bilinear", align_corners=True)
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


class FewShotAprilGanReference(AprilGanReference):
    """Eager few-shot APRIL-GAN, its references given as images."""

    @torch.inference_mode()
    def __call__(  # type: ignore[override]
        self, image: Tensor, references: Tensor, text_features: Tensor, map_limits: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """uint8 RGB images and references (R, H, W, 3), float32 (2, P, D) and [low, high] (2,).

        Returns score (N,), anomaly map (N, H, W), and of length 1 the images' embeddings (N, D) and their own rows
        (N, L, W) of each stage.
        """
        size, grid = self.config.image_size, self.config.grid
        cls, tokens = self.features(self.normalise(image))
        text_score, anomaly_map = self.by_text(cls, tokens, text_features)
        _, remembered = self.features(self.normalise(references))
        for own, known in zip(tokens, remembered):
            distances = torch.stack([self.nearest(patches, known.flatten(0, 1)) for patches in own])  # (N, L)
            distances = distances.reshape(-1, 1, *grid)
            anomaly_map += functional.interpolate(distances, size=size, mode="bilinear", align_corners=True)[:, 0]
        low, high = map_limits.tolist()
        largest = anomaly_map.flatten(1).max(dim=1).values
        score = 0.5 * (text_score + (largest - low) / (high - low))
        return score, anomaly_map, self.embedding(cls), [functional.normalize(own, dim=-1) for own in tokens]

    @staticmethod
    def nearest(patches: Tensor, known: Tensor) -> Tensor:
        """(L, W) and (R, W) to 1 minus the cosine of the closest (L,)."""
        cosines = functional.normalize(patches, dim=-1) @ functional.normalize(known, dim=-1).T
        return (1 - cosines).min(dim=-1).values
