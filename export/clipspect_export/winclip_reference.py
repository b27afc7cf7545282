"""WinCLIP written as the paper has it, one scale after the other, for the parity record.

It shares nothing with the packed graph but CLIP's weights: its own windows, the plain tower, its own means and
torch's interpolation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from clipspect_export.clip import VisionTower
from clipspect_export.config import ClipConfig

TEMPERATURE = 0.07


class WinClipReference:
    """Eager zero-shot WinCLIP over the plain vision tower."""

    def __init__(self, tower: VisionTower, config: ClipConfig, scales: Sequence[int]) -> None:
        self.tower, self.config, self.scales = tower, config, tuple(scales)

    @torch.inference_mode()
    def __call__(self, image: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 RGB (N, H, W, 3) and float32 (2, P, D) to score (N,) and anomaly map (N, H, W)."""
        size, grid = self.config.image_size, self.config.grid
        full, by_scale = self.embeddings(self.normalise(image))
        score = self.anomalous(full, text_features)  # (N,)
        maps = [score[:, None, None].expand(-1, grid, grid)]
        for scale, windows in zip(self.scales, by_scale):
            values = self.anomalous(windows, text_features)  # (N, windows)
            maps.append(harmonic_mean_over_windows(values, grid, scale))
        combined = len(maps) / torch.stack([1 / one for one in maps]).sum(dim=0)  # harmonic mean, (N, grid, grid)
        anomaly_map = functional.interpolate(combined[:, None], size=(size, size), mode="bilinear", align_corners=False)
        return score, anomaly_map[:, 0]

    def normalise(self, image: Tensor) -> Tensor:
        """uint8 (N, H, W, 3) to what CLIP reads: (N, 3, H, W)."""
        mean, std = torch.tensor(self.config.mean), torch.tensor(self.config.std)
        return ((image.float() / 255 - mean) / std).permute(0, 3, 1, 2)

    @torch.inference_mode()
    def embeddings(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, 3, H, W) to image embeddings (N, D) and, per scale, window embeddings (N, windows, D), row-major."""
        tokens = self.tower.embed(pixels)  # (N, 1 + L, W)
        full = self.tower.project(self.tower.encode(tokens)[:, 0])
        by_scale = []
        for scale in self.scales:
            windows = []
            for patches in covered_patches(self.config.grid, scale):
                chosen = [0] + [patch + 1 for patch in patches]  # with the class token
                windows.append(tokens[:, chosen])  # (N, 1 + scale ** 2, W)
            encoded = self.tower.encode(torch.cat(windows))  # (windows * N, 1 + scale ** 2, W)
            embedded = self.tower.project(encoded[:, 0])
            by_scale.append(embedded.reshape(len(windows), len(tokens), -1).transpose(0, 1))
        return full, by_scale

    @staticmethod
    def anomalous(embeddings: Tensor, text_features: Tensor) -> Tensor:
        """(..., D) and (2, P, D) to the probability of the anomalous state (...)."""
        cosines = [
            functional.cosine_similarity(embeddings[..., None, :], prompts, dim=-1).amax(dim=-1)
            for prompts in text_features
        ]
        return (torch.stack(cosines, dim=-1) / TEMPERATURE).softmax(dim=-1)[..., 1]


def covered_patches(grid: int, scale: int) -> list[list[int]]:
    """The row-major patch indices of every window, windows row-major with stride 1."""
    return [
        [(top + row) * grid + left + column for row in range(scale) for column in range(scale)]
        for top in range(grid - scale + 1)
        for left in range(grid - scale + 1)
    ]


def harmonic_mean_over_windows(values: Tensor, grid: int, scale: int) -> Tensor:
    """(N, windows) to (N, grid, grid): each patch the harmonic mean of the windows that cover it."""
    inverse = torch.zeros(len(values), grid * grid)
    count = torch.zeros(grid * grid)
    for window, patches in enumerate(covered_patches(grid, scale)):
        inverse[:, patches] += 1 / values[:, window, None]
        count[patches] += 1
    return (count / inverse).reshape(-1, grid, grid)
