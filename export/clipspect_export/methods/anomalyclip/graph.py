"""AnomalyCLIP (Zhou et al. 2024): object-agnostic learned prompts, and patches that attend to their like.

Diagonally prominent attention maps (DPAM, section 3.4): the second path (two_paths.py) adds each block's value-value
attention; the patches are read there.

Letters in shapes: N images, L patches, T = 1 + L tokens, K layers read, W width, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from clipspect.base.errors import ExportError
from clipspect_export.methods.anomalyclip.options import LAYERS
from clipspect_export.methods.learned_options import SIGMA
from clipspect_export.methods.maps import Upsampling, require_sigma, smooth_matrix
from clipspect_export.methods.scoring import cosine_difference, unit
from clipspect_export.methods.two_paths import TwoPathBlock, TwoPathEncoder, require_two_paths
from clipspect_export.towers.clip import VisionTower
from clipspect_export.towers.config import ClipConfig
from clipspect_export.towers.encoder import attend
from clipspect_export.towers.layers import to_heads

TEMPERATURE = 0.07  # of the softmax over the two states


class AnomalyClip(nn.Module):
    """The graph: uint8 images and text features to scores, anomaly maps and the images' embeddings."""

    def __init__(
        self, tower: VisionTower, config: ClipConfig, *, layers: Sequence[int] = LAYERS, sigma: float = SIGMA
    ) -> None:
        super().__init__()
        self.encoder = DpamEncoder(tower, config, layers)
        self.stages, self.grid = len(layers), config.grid
        self.upsample = Upsampling(config, smooth_matrix(require_sigma(sigma, min(config.image_size))))

    def forward(self, image: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """uint8 RGB (N, H, W, 3) and float32 (2, P, D) to score (N,) in (0, 1) and anomaly map (N, H, W) in (0, K).

        Third come the images' embeddings (N, D), of length 1.
        """
        embeddings = self.encoder(image)  # (N, 1 + K * L, D)
        probability = torch.sigmoid(cosine_difference(embeddings, text_features) / TEMPERATURE)  # (N, 1 + K * L)
        grid = probability[:, 1:].reshape(-1, self.stages, *self.grid).sum(dim=1)
        return probability[:, 0], self.upsample(grid), unit(embeddings[:, 0])


class DpamEncoder(TwoPathEncoder):
    """Both paths through the vision tower."""

    def __init__(self, tower: VisionTower, config: ClipConfig, layers: Sequence[int]) -> None:
        super().__init__(tower, config, require_layers(layers, config), DualBlock)

    def forward(self, image: Tensor) -> Tensor:
        """uint8 RGB (N, H, W, 3) to embeddings (N, 1 + K * L, D): the class token's, and the patches' of all layers.

        The class token is projected without `ln_post`, as the official code does it.
        """
        cls, read = self.read(image)
        return torch.cat([cls, self.ln_post(torch.cat(read, dim=1))], dim=1) @ self.proj


class DualBlock(TwoPathBlock):
    """Two attentions that share v and the output projection: the second is that of v with itself."""

    def both(self, x: Tensor, patches: Tensor, class_only: bool) -> tuple[Tensor, Tensor]:
        y = self.ln_1(x)
        x, row = (x[:, :1], y[:, :1]) if class_only else (x, y)
        q, k, v = (to_heads(part, self.heads) for part in (self.query(row), self.key(y), self.value(y)))
        return self.finish(x, attend(q, k, v)), patches + self.out(attend(v[:, :, 1:] * self.scale, v, v))


def require_layers(layers: Sequence[int], config: ClipConfig) -> tuple[int, ...]:
    """The blocks after which patches are read, counted from 1, checked against the tower. Raises ExportError."""
    require_two_paths(config)
    depth = config.vision.layers
    if not layers:
        raise ExportError("no layers: give the blocks whose patches are read, such as 24 or 6,12,18,24")
    if not all(1 <= layer <= depth for layer in layers):
        raise ExportError(f"layers {_listed(layers)}: the vision tower has the layers 1 to {depth}")
    if not all(before < after for before, after in pairwise(layers)):
        raise ExportError(f"layers {_listed(layers)}: expected each once, in ascending order")
    return tuple(layers)


def _listed(layers: Sequence[int]) -> str:
    return ",".join(map(str, layers))
