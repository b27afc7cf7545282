"""Crane (Salehi et al. 2025) without DINOv2: AnomalyCLIP's prompts and paths, another attention, and a pooled score.

The second path (two_paths.py) adds, in each block, what q, k and v give when each attends to its like; its patches are
read after the last block. The official code asks for four layers and reads the last one four times: its second path is
added to in place, so that all it kept of the earlier layers is the last.

Letters in shapes: N images, L patches, T = 1 + L tokens, W width, h heads, d = W / h, D embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clipspect_export.methods.learned_options import SIGMA
from clipspect_export.methods.maps import Upsampling, require_sigma, smooth_matrix
from clipspect_export.methods.scoring import cosine_difference, unit
from clipspect_export.methods.two_paths import TwoPathBlock, TwoPathEncoder
from clipspect_export.towers.clip import Block, VisionTower
from clipspect_export.towers.config import ClipConfig
from clipspect_export.towers.encoder import attend
from clipspect_export.towers.layers import Linear, to_heads

TEMPERATURE = 0.07  # of the softmax over the two states
POOLED_SHARE = 0.5  # of the pooled patches in the embedding that is scored; the class token has the rest


class Crane(nn.Module):
    """The graph: uint8 images and text features to scores, anomaly maps and the images' embeddings."""

    def __init__(self, tower: VisionTower, config: ClipConfig, *, sigma: float = SIGMA) -> None:
        super().__init__()
        self.encoder = CraneEncoder(tower, config)
        self.grid = config.grid
        self.upsample = Upsampling(config, smooth_matrix(require_sigma(sigma, min(config.image_size))))

    def forward(self, image: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """uint8 RGB (N, H, W, 3) and float32 (2, P, D) to score (N,) and anomaly map (N, H, W), both in (0, 1).

        Third come the images' embeddings (N, D), of length 1.
        """
        embeddings = unit(self.encoder(image))  # (N, 1 + L, D)
        cls, patches = embeddings[:, :1], embeddings[:, 1:]
        probability = anomalous_probability(patches, text_features)  # (N, L)
        grid = probability.reshape(-1, *self.grid)
        score = anomalous_probability(fuse(cls, patches, probability), text_features)[:, 0]
        return score, self.upsample(grid), embeddings[:, 0]


class CraneEncoder(TwoPathEncoder):
    """Both paths through the vision tower."""

    def __init__(self, tower: VisionTower, config: ClipConfig) -> None:
        super().__init__(tower, config, [config.vision.layers], CorrelationBlock)

    def forward(self, image: Tensor) -> Tensor:
        """uint8 RGB (N, H, W, 3) to embeddings (N, 1 + L, D): the class token's and the patches'."""
        cls, (patches,) = self.read(image)
        return self.ln_post(torch.cat([cls, patches], dim=1)) @ self.proj  # type: ignore[no-any-return]


class CorrelationBlock(TwoPathBlock):
    """Attentions that share v and the output projection: of q with k, and of q, k and v each with itself."""

    def __init__(self, block: Block, activation_name: str) -> None:
        super().__init__(block, activation_name)
        width = block.attn.out_proj.weight.shape[0]
        # k with its bias, which is the same for all only where a query meets it
        self.key = Linear(*(part[width : 2 * width] for part in (block.attn.in_proj_weight, block.attn.in_proj_bias)))

    def both(self, x: Tensor, patches: Tensor, class_only: bool) -> tuple[Tensor, Tensor]:
        y = self.ln_1(x)
        q, k, v = (to_heads(part, self.heads) for part in (self.query(y), self.key(y), self.value(y)))
        x, first = (x[:, :1], q[:, :, :1]) if class_only else (x, q)
        return self.finish(x, attend(first, k, v)), patches + self.out(self.correlate(q, k, v))

    def correlate(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, scaled, k and v (N, h, T, d) to the values mixed for each patch, (N, L, W): by the sum of three softmaxes,
        whose rows add to 3."""
        pairs = ((q / self.scale, q), (k * self.scale, k), (v * self.scale, v))
        weights = [(own[:, :, 1:] @ like.transpose(-1, -2)).softmax(dim=-1) for own, like in pairs]  # (N, h, L, T)
        mixed = (weights[0] + weights[1] + weights[2]) @ v  # (N, h, L, d)
        return mixed.transpose(1, 2).flatten(2)  # type: ignore[no-any-return]


def fuse(cls: Tensor, patches: Tensor, probability: Tensor) -> Tensor:
    """Unit embeddings of the class token (N, 1, D) and of patches (N, L, D), pooled by how anomalous each is (N, L), to
    the embedding that is scored (N, 1, D)."""
    pooled = unit(probability[:, None] @ patches)
    return POOLED_SHARE * pooled + (1 - POOLED_SHARE) * cls


def anomalous_probability(embeddings: Tensor, text_features: Tensor) -> Tensor:
    """(N, G, D) and (2, P, D) to the anomalous state's probability (N, G)."""
    return torch.sigmoid(cosine_difference(embeddings, text_features) / TEMPERATURE)
