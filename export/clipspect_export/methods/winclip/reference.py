"""WinCLIP written as the paper has it, one scale after the other, for the parity record.

It shares nothing with the packed graphs but CLIP's weights: its own windows, the plain tower, its own means and
torch's interpolation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from clipspect.bundle.windows_graph import ARITHMETIC, HARMONIC
from clipspect_export.methods.winclip.options import Setting
from clipspect_export.towers.clip import VisionTower
from clipspect_export.towers.config import ClipConfig, Grid

TEMPERATURE = 0.07


class WinClipReference:
    """Eager zero-shot WinCLIP over the plain vision tower."""

    def __init__(
        self, tower: VisionTower, config: ClipConfig, scales: Sequence[int], setting: Setting | None = None
    ) -> None:
        self.tower, self.config, self.scales, self.setting = tower, config, tuple(scales), setting or Setting()

    @torch.inference_mode()
    def __call__(self, image: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """uint8 RGB (N, H, W, 3) and float32 (2, P, D) to score (N,), anomaly map (N, H, W) and unit embeddings."""
        return self.with_windows(image, text_features)[:3]

    @torch.inference_mode()
    def with_windows(self, image: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Besides, of each scale the windows' unit embeddings (N, windows, D)."""
        full, _, by_scale = self.embeddings(self.normalise(image))
        score, grid = self.by_text(full, by_scale, text_features)
        image_embedding, *rows = (functional.normalize(own, dim=-1) for own in (full, *by_scale))
        return score, self.upsampled(grid), image_embedding, rows

    def by_text(self, full: Tensor, by_scale: list[Tensor], text_features: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of image and windows to score (N,) and the map on the patch grid (N, grid, grid)."""
        grid, stride = self.config.grid, self.setting.window_stride
        score = self.anomalous(full, text_features)  # (N,)
        maps = [score[:, None, None].expand(-1, *grid)]
        for scale, windows in zip(self.scales, by_scale):
            values = self.anomalous(windows, text_features)  # (N, windows)
            maps.append(harmonic_mean_over_windows(values, grid, scale, stride))
        if self.setting.multi_crop:
            score = self.anomalous(self.over_crops(full, by_scale), text_features)
        return score, self.over_scales(torch.stack(maps))

    def over_scales(self, maps: Tensor) -> Tensor:
        """The image's constant map and each scale's (1 + S, N, grid, grid) to one."""
        if self.setting.scale_fusion == HARMONIC:
            return len(maps) / (1 / maps).sum(dim=0)
        return maps.mean(dim=0) if self.setting.scale_fusion == ARITHMETIC else maps[1:].amax(dim=0)

    @staticmethod
    def over_crops(full: Tensor, by_scale: list[Tensor]) -> Tensor:
        """Unit embeddings averaged over each scale's windows, then over the scales and the image itself: (N, D)."""
        crops = [full[:, None], *by_scale]
        return torch.stack([functional.normalize(crop, dim=-1).mean(dim=1) for crop in crops]).mean(dim=0)

    def upsampled(self, grid: Tensor) -> Tensor:
        """(N, grid, grid) to (N, H, W)."""
        size = self.config.image_size
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
            for covered in covered_patches(self.config.grid, scale, self.setting.window_stride):
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
    ) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """uint8 RGB images and references (R, H, W, 3), and float32 (2, P, D).

        Returns score (N,), anomaly map (N, H, W), and of length 1 the images' embeddings (N, D) and their own rows: of
        the patches (N, L, W) and of each scale (N, windows, D).
        """
        grid = self.config.grid
        full, patches, by_scale = self.embeddings(self.normalise(image))
        _, known_patches, known_windows = self.embeddings(self.normalise(references))
        text_score, text_grid = self.by_text(full, by_scale, text_features)
        maps = [self.association(patches, known_patches).reshape(-1, *grid)]
        for scale, windows, known in zip(self.scales, by_scale, known_windows):
            nearest = self.association(windows, known)
            maps.append(harmonic_mean_over_windows(nearest, grid, scale, self.setting.window_stride))
        by_references = torch.stack(maps).mean(dim=0)  # (N, grid, grid)
        score = (text_score + by_references.amax(dim=(1, 2))) / 2
        rows = [functional.normalize(own, dim=-1) for own in (patches, *by_scale)]
        return score, self.upsampled((text_grid + by_references) / 2), functional.normalize(full, dim=-1), rows

    @staticmethod
    def association(own: Tensor, known: Tensor) -> Tensor:
        """(N, rows, W) and (R, rows, W) to half of 1 minus the cosine of the closest (N, rows); not below 0."""
        cosines = functional.normalize(own, dim=-1) @ functional.normalize(known.flatten(0, 1), dim=-1).T
        return ((1 - cosines).min(dim=-1).values / 2).clamp(min=0)


def covered_patches(grid: Grid, scale: int, stride: int = 1) -> list[list[int]]:
    """The row-major patch indices of every window, windows row-major; a last row and column stand at the edge."""
    tops, lefts = (
        [start for start in range(side - scale + 1) if start % stride == 0 or start == side - scale] for side in grid
    )
    return [
        [(top + row) * grid.columns + left + column for row in range(scale) for column in range(scale)]
        for top in tops
        for left in lefts
    ]


def harmonic_mean_over_windows(values: Tensor, grid: Grid, scale: int, stride: int = 1) -> Tensor:
    """(N, windows) to (N, grid, grid): each patch the harmonic mean of the windows that cover it."""
    inverse = torch.zeros(len(values), grid.patches)
    count = torch.zeros(grid.patches)
    for window, patches in enumerate(covered_patches(grid, scale, stride)):
        inverse[:, patches] += 1 / values[:, window, None]
        count[patches] += 1
    return (count / inverse).reshape(-1, *grid)
