"""Memories written as their code has them, for the parity record.

They share nothing with the graphs but the tower's weights: the plain tower, torch's interpolation, their own Gaussian.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from clipspect.engines.graph import COMPONENTS, MEAN, SPREAD
from clipspect.recipes.galleries import SMALLEST_SPREAD
from clipspect.recipes.subspace import find_subspace
from clipspect_export.methods.memory.graph import Setting
from clipspect_export.methods.memory.options import SUBSPACE

RADIUS = 1  # pixels, of SubspaceAD's window

# Of uint8 images (N, H, W, 3): their embeddings (N, D), and of each block that is read the patches (N, L, W)
ReadPatches = Callable[[Tensor], tuple[Tensor, list[Tensor]]]


def nearest(patches: Tensor, known: Tensor) -> Tensor:
    """The distance of each patch (N, L, W) from the nearest known one (R, L, W), 1 minus the cosine: (N, L)."""
    rows, gallery = functional.normalize(patches, dim=-1), functional.normalize(known, dim=-1).flatten(0, 1)
    return 1 - (rows @ gallery.T).max(dim=-1).values


class MemoryReference:
    """An eager memory over what a plain tower reads."""

    def __init__(self, read: ReadPatches, setting: Setting) -> None:
        self.read, self.setting = read, setting

    @torch.inference_mode()
    def __call__(
        self,
        image: Tensor,
        references: Tensor | None = None,
        *,
        spread: Tensor | None = None,
        mean: Tensor | None = None,
        components: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """uint8 RGB images and references (R, H, W, 3), and what each block's distances are divided by (K,); or in the
        place of references the mean (W,) and components (r, W) of a subspace.

        Returns score (N,), anomaly map (N, H, W), embeddings (N, D), and the images' own rows (N, L, W).
        """
        embedding, patches = self.read(image)
        embedding = functional.normalize(embedding, dim=-1)
        if mean is not None and components is not None:
            rows = torch.stack(patches).mean(dim=0)
            values = (((rows - mean) - (rows - mean) @ components.T @ components) ** 2).sum(dim=-1)
            anomaly_map = self.smoothed(values)
            return self.score(anomaly_map.flatten(1)), anomaly_map, embedding, [rows]
        if references is None:
            raise AssertionError("a memory compares with references or with a subspace")
        own = [functional.normalize(tokens, dim=-1) for tokens in patches]
        distances = [nearest(*pair) for pair in zip(patches, self.read(references)[1])]
        divisors = [1.0] * len(own) if spread is None else spread.tolist()
        values = torch.stack([found / divisor for found, divisor in zip(distances, divisors)]).mean(dim=0)
        return self.score(values), self.smoothed(values), embedding, own

    @torch.inference_mode()
    def remembered(self, photos: Tensor) -> dict[str, Tensor]:
        """What a box makes of photos (N, H, W, 3) besides galleries: a subspace, or each block's spread."""
        patches = self.read(photos)[1]
        if self.setting.scorer == SUBSPACE:
            rows = torch.stack(patches).mean(dim=0).flatten(0, 1)
            found = find_subspace([rows.numpy()], rows.shape[1])
            return {MEAN: torch.from_numpy(found.mean), COMPONENTS: torch.from_numpy(found.components)}
        mirrored = self.read(torch.cat([photos.flip(2), photos.flip(1)]))[1]
        spread = torch.stack([nearest(*pair).mean() for pair in zip(mirrored, patches)])
        return {SPREAD: spread.clamp(min=SMALLEST_SPREAD)}

    def score(self, values: Tensor) -> Tensor:
        """(N, values) to the mean of the largest (N,)."""
        count = max(1, int(values.shape[1] * self.setting.share / 100))
        return values.sort(dim=1, descending=True).values[:, :count].mean(dim=1)

    def smoothed(self, values: Tensor) -> Tensor:
        """(N, L) to (N, H, W)."""
        setting = self.setting
        grid = values.reshape(-1, 1, *setting.grid).double()
        size = (setting.image.height, setting.image.width)
        pixels = functional.interpolate(grid, size=size, mode="bilinear", align_corners=False)[:, 0]
        if setting.sigma == 0:
            return pixels.float()
        subspace = setting.scorer == SUBSPACE
        radius = RADIUS if subspace else int(4 * setting.sigma + 0.5)
        kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float64) / setting.sigma) ** 2)
        kernel /= kernel.sum()
        for axis in (-2, -1):
            length = pixels.shape[axis]
            line = torch.arange(length)
            # beyond an edge SubspaceAD does not repeat the pixel at it, SciPy does
            mirrored = torch.cat([line, line.flip(0)[1:-1]]) if subspace else torch.cat([line, line.flip(0)])
            places = mirrored[torch.arange(-radius, length + radius) % len(mirrored)]
            pixels = pixels.index_select(axis, places).unfold(axis, 2 * radius + 1, 1) @ kernel
        return pixels.float()
