"""DINOv2 as a plain module (Oquab et al. 2024), its parameters named as in facebookresearch's state dict.

`class_token` and `positions` alone are its own: the class token's position is added to it, and the others lie on the
grid of the image that is read.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from clipspect_export.towers.dino_config import DinoConfig

NORM_EPS = 1e-6


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, W) to (N, T, W)."""
        q, k, v = (
            part.reshape(*part.shape[:2], self.heads, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1)
        )  # (N, heads, T, W / heads)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Mlp(nn.Module):
    """Two linear layers around exact GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))  # type: ignore[no-any-return]


class LayerScale(nn.Module):
    """A factor for each channel of what a branch adds."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    """Pre-norm residual attention block with LayerScale."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=NORM_EPS), nn.LayerNorm(width, eps=NORM_EPS)
        self.attn, self.mlp = Attention(width, heads), Mlp(width)
        self.ls1, self.ls2 = LayerScale(width), LayerScale(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


class PatchEmbed(nn.Module):
    """Patches of pixels to tokens."""

    def __init__(self, width: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch_size, stride=patch_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, L, W), row-major."""
        return self.proj(pixels).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


class Dino(nn.Module):
    """The vision transformer. A new one holds no values: they come with `build_dino` or `load_state_dict`."""

    def __init__(self, config: DinoConfig) -> None:
        super().__init__()
        self.config = config
        width, (rows, columns) = config.width, config.grid
        self.class_token = nn.Parameter(torch.empty(width))
        self.positions = nn.Parameter(torch.empty(rows * columns, width))
        if config.registers:
            self.register_tokens = nn.Parameter(torch.empty(config.registers, width))
        self.patch_embed = PatchEmbed(width, config.patch_size)
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)

    @property
    def leading(self) -> Tensor:
        """The tokens before the patches, (1 + registers, W): the class token, then those without a position."""
        cls = self.class_token[None]
        return torch.cat([cls, self.register_tokens]) if self.config.registers else cls

    def embed(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (N, 3, H, W) to tokens (N, T, W)."""
        patches = self.patch_embed(pixels) + self.positions
        return torch.cat([self.leading.expand(len(pixels), -1, -1), patches], dim=1)


def build_dino(config: DinoConfig, tensors: Mapping[str, Tensor]) -> Dino:
    """The tower in evaluation mode with these tensors as parameters (shared, not copied)."""
    with torch.device("meta"):
        dino = Dino(config)
    dino.load_state_dict(dict(tensors), strict=True, assign=True)
    return dino.eval().requires_grad_(False)
