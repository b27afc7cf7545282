"""WinCLIP (Jeong et al. 2023) as one packed pass: the full image and every window in one batch of tokens.

Every linear layer runs once over all tokens; only attention is split per group. Three things are not computed
because the exact mathematics does not need them: block 0's q, k and v of a token are the same in every window that
holds it, so they are made once a patch and gathered; the last block makes q, and everything after attention, for the
class tokens alone; and nothing but class tokens is normalised and projected at the end.

Letters in shapes: N images, L patches, T packed tokens, G groups (windows and the full image), W width, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from clipspect.errors import ExportError
from torch import Tensor, nn

from clipspect_export.clip import Block, VisionTower
from clipspect_export.config import ClipConfig
from clipspect_export.encoder import EncoderBlock, TokenEmbedding
from clipspect_export.layers import to_heads
from clipspect_export.maps import bilinear_matrix
from clipspect_export.scoring import cosine_difference
from clipspect_export.windows import (
    Group,
    class_places,
    groups,
    inverse_mean_matrix,
    packed_tokens,
    require_scales,
)

TEMPERATURE = 0.07  # of the softmax over the two states: CLIP's, and anomalib's
# Probabilities below it count as it, so that no inverse is infinite and times a zero of the matrix NaN. No pair of
# cosines gives less than sigmoid(-2 / 0.07) = 4e-13 up to rounding; anomalib answers 0 where a window is exactly 0.
SMALLEST_PROBABILITY = 1e-20


class PackedBlock(EncoderBlock):
    """A CLIP block whose attention stays inside the groups."""

    def __init__(self, block: Block, layout: Sequence[Group], activation_name: str) -> None:
        super().__init__(block, activation_name)
        self.layout = list(layout)

    def forward(self, x: Tensor) -> Tensor:
        """Packed tokens (N, T, W) to (N, T, W)."""
        y = self.ln_1(x)
        return self.finish(x, self.attend(self.query(y), self.key(y), self.value(y)))

    def from_patches(self, x: Tensor, packed: Tensor) -> Tensor:
        """The first block: tokens of the full image (N, 1 + L, W), gathered by `packed` (T,), to (N, T, W)."""
        y = self.ln_1(x)
        q, k, v = (layer(y).index_select(1, packed) for layer in (self.query, self.key, self.value))
        return self.finish(x.index_select(1, packed), self.attend(q, k, v))

    def to_classes(self, x: Tensor, classes: Tensor) -> Tensor:
        """The last block: packed tokens (N, T, W) to the class tokens (N, G, W), whose places are `classes` (G,)."""
        y = self.ln_1(x)
        q = self.query(y.index_select(1, classes))  # (N, G, W)
        return self.finish(x.index_select(1, classes), self.attend(q, self.key(y), self.value(y)))

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """k, v: (N, T, W); q and the result: (N, T, W), or (N, G, W) for the class tokens alone."""
        per_group = q.shape[1] != k.shape[1]
        query_layout = [Group(group.count, 1) for group in self.layout] if per_group else self.layout
        q, k, v = (to_heads(part, self.heads) for part in (q, k, v))  # (N, heads, T, d)
        mixed = []
        for qg, kg, vg in zip(split(q, query_layout), split(k, self.layout), split(v, self.layout)):
            logits = qg @ kg.transpose(-1, -2)  # (N, heads, count, size, size)
            mixed.append((logits.softmax(dim=-1) @ vg).flatten(2, 3))  # (N, heads, count * size, d)
        return torch.cat(mixed, dim=2).transpose(1, 2).flatten(2)


def split(x: Tensor, layout: Sequence[Group]) -> list[Tensor]:
    """(N, heads, T, d) to one (N, heads, count, size, d) a group."""
    parts = torch.split(x, [group.tokens for group in layout], dim=2)
    return [
        part.reshape(*part.shape[:2], group.count, group.size, part.shape[-1]) for part, group in zip(parts, layout)
    ]


class WindowEncoder(nn.Module):
    """The vision tower over the full image and all windows: uint8 images to one embedding a group."""

    packed: Tensor
    classes: Tensor

    def __init__(self, tower: VisionTower, config: ClipConfig, scales: Sequence[int]) -> None:
        super().__init__()
        if config.vision.layers < 2:
            raise ExportError(f"{config.name}: {config.vision.layers} layer; the packed graph needs at least 2")
        layout = groups(config.grid, scales)
        self.embedding = TokenEmbedding(tower, config)
        self.blocks = nn.ModuleList(
            PackedBlock(cast(Block, block), layout, config.activation) for block in tower.transformer.resblocks
        )
        self.ln_post, self.proj = tower.ln_post, tower.proj
        self.register_buffer("packed", packed_tokens(config.grid, scales))  # (T,)
        self.register_buffer("classes", class_places(layout))  # (G,)

    def forward(self, image: Tensor) -> Tensor:
        """uint8 (N, H, W, 3) to unnormalised embeddings (N, G, D): full image, then each scale's windows, row-major."""
        first, *middle, last = (cast(PackedBlock, block) for block in self.blocks)
        x = first.from_patches(self.embedding(image), self.packed)
        for block in middle:
            x = block(x)
        return self.ln_post(last.to_classes(x, self.classes)) @ self.proj  # type: ignore[no-any-return]


class WinClip(nn.Module):
    """The zero-shot graph: uint8 images and text features to scores and anomaly maps."""

    inverse_mean: Tensor
    upsampling: Tensor

    def __init__(self, tower: VisionTower, config: ClipConfig, scales: Sequence[int]) -> None:
        super().__init__()
        scales = require_scales(scales, config.grid)
        self.grid = config.grid
        self.encoder = WindowEncoder(tower, config, scales)
        self.register_buffer("inverse_mean", inverse_mean_matrix(config.grid, scales))  # (G, L)
        self.register_buffer("upsampling", bilinear_matrix(config.image_size, config.grid))  # (H, grid)

    def forward(self, image: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 RGB (N, H, W, 3) and float32 (2, P, D) to score (N,) and anomaly map (N, H, W), both in (0, 1)."""
        probability = anomalous_probability(self.encoder(image), text_features)  # (N, G)
        inverse = 1 / probability.clamp(min=SMALLEST_PROBABILITY)
        grid = (1 / (inverse @ self.inverse_mean)).reshape(-1, self.grid, self.grid)
        return probability[:, 0], self.upsampling @ grid @ self.upsampling.T


def anomalous_probability(embeddings: Tensor, text_features: Tensor) -> Tensor:
    """(N, G, D) and (2, P, D), neither normalised, to the anomalous state's probability (N, G)."""
    return torch.sigmoid(cosine_difference(embeddings, text_features) / TEMPERATURE)
