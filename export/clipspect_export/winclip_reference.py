"""WinCLIP written as the paper has it, one scale after the other, for the parity record.

It shares nothing with the packed graphs but CLIP's weights: its own windows, the plain tower, its own means and
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
        full, _, by_scale = self.embeddings(self.normalise(image))
        score, grid = self.by_text(full, by_scale, text_features)
        return score, self.upsampled(grid)

    def by_text(self, full: Tensor, by_scale: list[Tensor], text_features: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of image and windows to score (N,) and the map on the patch grid (N, grid, grid)."""
        grid = self.config.grid
        score = self.anomalous(full, text_features)  # (N,)
        maps = [score[:, None, None].expand(-1, grid, grid)]
        for scale, windows in zip(self.scales, by_scale):
            values = self.anomalous(windows, text_features)  # (N, windows)
            maps.append(harmonic_mean_over_windows(values, grid, scale))
        return score, len(maps) / torch.stack([1 / one for one in maps]).sum(dim=0)  # harmonic mean

    def upsampled(self, grid: Tensor) -> Tensor:
        """(N, grid, grid) to (N, H, W)."""
        size = (self.config.image_size, self.config.image_size)
        return functional.interpolate(grid[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]

    def normalise(self, image: Tensor) -> Tensor:
        """uint8 (N, H, W, 3) to what CLIP reads: (N, 3, H, W)."""
        mean, std = torch.tensor(self.config.mean), torch.tensor(self.config.std)
        return ((image.float() / 255 - mean) / std).permute(0, 3, 1, 2)

    @torch.inference_mode()
    def embeddings(self, pixels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """(N, 3, H, W) to image embeddings (N, D), patches (N, L, W) and, per scale, windows (N, windows, D).

        Patches and windows are row-major; the patches are normalised by `ln_post` and not projected.
        """
        tokens = self.tower.embed(pixels)  # (N, 1 + L, W)
        encoded_image = self.tower.encode(tokens)
        full, patches = self.tower.project(encoded_image[:, 0]), self.tower.ln_post(encoded_image[:, 1:])
        by_scale = []
        for scale in self.scales:
            windows = []
            for covered in covered_patches(self.config.grid, scale):
                chosen = [0] + [patch + 1 for patch in covered]  # with the class token
                windows.append(tokens[:, chosen])  # (N, 1 + scale ** 2, W)
            encoded = self.tower.encode(torch.cat(windows))  # (windows * N, 1 + scale ** 2, W)
            embedded = self.tower.project(encoded[:, 0])
            by_scale.append(embedded.reshape(len(windows), len(tokens), -1).transpose(0, 1))
        return full, patches, by_scale

    @staticmethod
    def anomalous(embeddings: Tensor, text_features: Tensor) -> Tensor:
        """(..., D) and (2, P, D) to the probability of the anomalous state (...)."""
        cosines = [
            functional.cosine_similarity(embeddings[..., None, :], prompts, dim=-1).amax(dim=-1)
            for prompts in text_features
        ]
        return (torch.stack(cosines, dim=-1) / TEMPERATURE).softmax(dim=-1)[..., 1]


class FewShotWinClipReference(WinClipReference):
    """Eager few-shot WinCLIP, its references given as images."""

    @torch.inference_mode()
    def __call__(  # type: ignore[override]
        self, image: Tensor, references: Tensor, text_features: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """uint8 RGB images and references (R, H, W, 3), and float32 (2, P, D).

        Returns score (N,), anomaly map (N, H, W), and the images' own rows, of length 1: of the patches (N, L, W) and
        of each scale (N, windows, D).
        """
        grid = self.config.grid
        full, patches, by_scale = self.embeddings(self.normalise(image))
        _, known_patches, known_windows = self.embeddings(self.normalise(references))
        text_score, text_grid = self.by_text(full, by_scale, text_features)
        maps = [self.association(patches, known_patches).reshape(-1, grid, grid)]
        for scale, windows, known in zip(self.scales, by_scale, known_windows):
            maps.append(harmonic_mean_over_windows(self.association(windows, known), grid, scale))
        by_references = torch.stack(maps).mean(dim=0)  # (N, grid, grid)
        score = (text_score + by_references.amax(dim=(1, 2))) / 2
        rows = [functional.normalize(own, dim=-1) for own in (patches, *by_scale)]
        return score, self.upsampled((text_grid + by_references) / 2), rows

    @staticmethod
    def association(own: Tensor, known: Tensor) -> Tensor:
        """(N, rows, W) and (R, rows, W) to half of 1 minus the cosine of the closest (N, rows); not below 0."""
        cosines = functional.normalize(own, dim=-1) @ functional.normalize(known.flatten(0, 1), dim=-1).T
        return ((1 - cosines).min(dim=-1).values / 2).clamp(min=0)


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
