"""WinCLIP's encoder over the windows that are asked for: what a region of interest, a cascade or a fixed camera saves.

The same blocks over the same weights as the packed graph, but which windows there are is an input: of each scale the
tokens of its windows. What becomes of the embeddings, the score and the map, is the runtime's work.

Letters in shapes: N images, L patches, M windows of a scale, T packed tokens, G groups, W width, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from clipspect.base.errors import ExportError
from clipspect_export.methods.scoring import unit
from clipspect_export.towers.clip import Block, VisionTower
from clipspect_export.towers.config import ClipConfig
from clipspect_export.towers.encoder import EncoderBlock, TokenEmbedding

Parts = Sequence[Tensor]  # of the full images and of each scale


class GroupsBlock(EncoderBlock):
    """A CLIP block whose attention stays inside groups of tokens, of any number of groups."""

    def within(self, x: Tensor, parts: Sequence[int], sizes: Sequence[int]) -> Tensor:
        """Packed tokens (T, W), `parts` of them after each other, in groups of `sizes`, to (T, W)."""
        y = self.ln_1(x)
        q, k, v = (torch.split(layer(y), list(parts)) for layer in (self.query, self.key, self.value))
        return self.finish(x, self.attend(q, k, v, sizes, sizes))

    def from_images(self, x: Tensor, chosen: Tensor, parts: Sequence[int], sizes: Sequence[int]) -> Tensor:
        """The first block: the full images' tokens (N * (1 + L), W), and those `chosen` of them, to (T, W)."""
        y = self.ln_1(x)
        q, k, v = (
            torch.split(with_chosen(layer(y), chosen), list(parts)) for layer in (self.query, self.key, self.value)
        )
        return self.finish(with_chosen(x, chosen), self.attend(q, k, v, sizes, sizes))

    def to_read(self, x: Tensor, parts: Sequence[int], sizes: Sequence[int], read: Sequence[int]) -> Tensor:
        """The last block: of each group the first `read` tokens, (tokens read, W)."""
        y = self.ln_1(x)
        k, v = (torch.split(layer(y), list(parts)) for layer in (self.key, self.value))
        chosen = [first(part, size, own) for part, size, own in zip(torch.split(x, list(parts)), sizes, read)]
        asking = [first(part, size, own) for part, size, own in zip(torch.split(y, list(parts)), sizes, read)]
        counts = [part.shape[0] for part in chosen]
        q = torch.split(self.query(torch.cat(asking)), counts)
        return self.finish(torch.cat(chosen), self.attend(q, k, v, read, sizes))

    def attend(self, q: Parts, k: Parts, v: Parts, read: Sequence[int], sizes: Sequence[int]) -> Tensor:
        """Of each part queries in groups of `read`, keys and values in groups of `sizes`; to (tokens read, W)."""
        mixed = []
        for qp, kp, vp, own, size in zip(q, k, v, read, sizes):
            qg, kg, vg = self.grouped(qp, own), self.grouped(kp, size), self.grouped(vp, size)
            logits = qg @ kg.transpose(-1, -2)  # (groups, heads, own, size)
            mixed.append((logits.softmax(dim=-1) @ vg).transpose(1, 2).reshape(-1, qp.shape[-1]))
        return torch.cat(mixed)

    def grouped(self, x: Tensor, size: int) -> Tensor:
        """(groups * size, W) to (groups, heads, size, d)."""
        return x.reshape(-1, size, self.heads, x.shape[-1] // self.heads).transpose(1, 2)


def with_chosen(x: Tensor, chosen: Tensor) -> Tensor:
    """Rows (R, W) and after them those whose numbers are given (C,): (R + C, W)."""
    return torch.cat([x, x.index_select(0, chosen)])


def first(x: Tensor, size: int, count: int) -> Tensor:
    """The first `count` tokens of each group of `size`: (groups * size, W) to (groups * count, W)."""
    return x if count == size else x.reshape(-1, size, x.shape[-1])[:, :count].flatten(0, 1)


class ChosenWindowsEncoder(nn.Module):
    """The vision tower over full images and the windows whose tokens are given."""

    def __init__(self, tower: VisionTower, config: ClipConfig, scales: Sequence[int], *, with_patches: bool) -> None:
        """`with_patches`: the full images' patches are read, too."""
        super().__init__()
        if config.vision.layers < 2:
            raise ExportError(f"{config.name}: {config.vision.layers} layer; the packed graph needs at least 2")
        self.embedding = TokenEmbedding(tower, config)
        self.blocks = nn.ModuleList(
            GroupsBlock(cast(Block, block), config.activation) for block in tower.transformer.resblocks
        )
        self.ln_post, self.proj = tower.ln_post, tower.proj
        self.sizes = [config.grid.patches + 1, *(scale * scale + 1 for scale in scales)]
        self.read = [self.sizes[0] if with_patches else 1, *(1 for _ in scales)]

    def forward(self, image: Tensor, *windows: Tensor) -> list[Tensor]:
        """uint8 (N, H, W, 3) and of each scale int64 (M, 1 + scale ** 2) to what leaves the last block.

        First the full images' class tokens as embeddings (N, D), then each scale's windows (M, D), none of length 1;
        with the patches also these (N, L, W), not projected.
        """
        tokens = self.embedding(image).flatten(0, 1)  # (N * (1 + L), W)
        parts = [tokens.shape[0], *(own.shape[0] * own.shape[1] for own in windows)]
        chosen = torch.cat([own.flatten() for own in windows])
        first_block, *middle, last = (cast(GroupsBlock, block) for block in self.blocks)
        x = first_block.from_images(tokens, chosen, parts, self.sizes)
        for block in middle:
            x = block.within(x, parts, self.sizes)
        x = self.ln_post(last.to_read(x, parts, self.sizes, self.read))
        counts = [image.shape[0] * self.read[0], *(own.shape[0] for own in windows)]
        images, *embedded = torch.split(x, counts)
        if self.read[0] == 1:
            return [part @ self.proj for part in (images, *embedded)]
        images = images.reshape(-1, self.sizes[0], images.shape[-1])
        return [*(part @ self.proj for part in (images[:, 0], *embedded)), images[:, 1:]]


class WindowsOnDemand(nn.Module):
    """The graph of the role `windows`: embeddings of length 1 of the images and of the windows that are asked for."""

    def __init__(self, tower: VisionTower, config: ClipConfig, scales: Sequence[int], *, with_patches: bool) -> None:
        super().__init__()
        self.encoder = ChosenWindowsEncoder(tower, config, scales, with_patches=with_patches)

    def forward(self, image: Tensor, *windows: Tensor) -> tuple[Tensor, ...]:
        """uint8 (N, H, W, 3) and of each scale int64 (M, 1 + scale ** 2) to (N, D), of each scale (M, D), and where
        references are compared with, the images' own rows of patches (N, L, W)."""
        return tuple(unit(part) for part in self.encoder(image, *windows))
