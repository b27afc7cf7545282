"""CLIP's two towers as plain modules (Radford et al. 2021), their parameters named as in open_clip's state dict."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from clipspect_export.towers.config import QUICK_GELU, ClipConfig, TransformerConfig

QUICK_GELU_SLOPE = 1.702  # Hendrycks & Gimpel 2016; what OpenAI trained with


class QuickGelu(nn.Module):
    """The sigmoid approximation of GELU."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(QUICK_GELU_SLOPE * x)


class Attention(nn.Module):
    """Multi-head self-attention; q, k and v share one projection, as in the state dict."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, causal: bool = False) -> Tensor:
        """(N, T, W) to (N, T, W)."""
        qkv = functional.linear(x, self.in_proj_weight, self.in_proj_bias)  # (N, T, 3W)
        q, k, v = (
            part.reshape(*part.shape[:2], self.heads, -1).transpose(1, 2) for part in qkv.chunk(3, dim=-1)
        )  # (N, heads, T, W / heads)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Mlp(nn.Module):
    """Two linear layers around the activation."""

    def __init__(self, width: int, mlp_width: int, activation_name: str) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, mlp_width)
        self.gelu = QuickGelu() if activation_name == QUICK_GELU else nn.GELU()
        self.c_proj = nn.Linear(mlp_width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(self.gelu(self.c_fc(x)))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Pre-norm residual attention block."""

    def __init__(self, config: TransformerConfig, activation_name: str) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.width)
        self.attn = Attention(config.width, config.heads)
        self.ln_2 = nn.LayerNorm(config.width)
        self.mlp = Mlp(config.width, config.mlp_width, activation_name)

    def forward(self, x: Tensor, causal: bool = False) -> Tensor:
        x = x + self.attn(self.ln_1(x), causal)
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """The stack of blocks."""

    def __init__(self, config: TransformerConfig, activation_name: str) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(config, activation_name) for _ in range(config.layers))

    def forward(self, x: Tensor, causal: bool = False) -> Tensor:
        for block in self.resblocks:
            x = block(x, causal)
        return x


class VisionTower(nn.Module):
    """The vision transformer. `forward` is `project(encode(embed(pixels))[:, 0])`."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        width = config.vision.width
        self.conv1 = nn.Conv2d(3, width, config.patch_size, stride=config.patch_size, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(config.grid.patches + 1, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(config.vision, config.activation)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.empty(width, config.embed_dim))

    def embed(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (N, 3, H, W) to the class token and one token a patch, row-major: (N, 1 + L, W)."""
        patches = self.conv1(pixels).flatten(2).transpose(1, 2)  # (N, L, W)
        cls = self.class_embedding.expand(len(pixels), 1, -1)  # (N, 1, W)
        return torch.cat([cls, patches], dim=1) + self.positional_embedding

    def encode(self, tokens: Tensor) -> Tensor:
        """Embedded tokens (N, T, W), any selection of them, to the last block's tokens (N, T, W)."""
        return self.transformer(self.ln_pre(tokens))  # type: ignore[no-any-return]

    def project(self, tokens: Tensor) -> Tensor:
        """(..., W) to unnormalised embeddings (..., D)."""
        return self.ln_post(tokens) @ self.proj  # type: ignore[no-any-return]

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (N, 3, H, W) to unnormalised image embeddings (N, D)."""
        return self.project(self.encode(self.embed(pixels))[:, 0])


class Clip(nn.Module):
    """Both towers. The text tower's parameters have no prefix, as in OpenAI's state dict.

    A new one holds no values: they come with `build_clip` or `load_state_dict`.
    """

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        width = config.text.width
        self.visual = VisionTower(config)
        self.token_embedding = nn.Embedding(config.vocab_size, width)
        self.positional_embedding = nn.Parameter(torch.empty(config.context_length, width))
        self.transformer = Transformer(config.text, config.activation)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, config.embed_dim))

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (N, 3, H, W) to unnormalised embeddings (N, D)."""
        return self.visual(pixels)  # type: ignore[no-any-return]

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Token ids (N, T), T up to the context length, to unnormalised embeddings (N, D).

        The embedding is read at the end-of-text token, which has the largest id.
        """
        x = self.token_embedding(tokens) + self.positional_embedding[: tokens.shape[1]]  # (N, T, W)
        x = self.transformer(x, causal=True)
        end = x[torch.arange(len(x)), tokens.argmax(dim=-1)]  # (N, W)
        return self.ln_final(end) @ self.text_projection  # type: ignore[no-any-return]


def expected_shapes(config: ClipConfig) -> dict[str, tuple[int, ...]]:
    """Every parameter of both towers by its state-dict name."""
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in Clip(config).state_dict().items()}


def build_clip(config: ClipConfig, tensors: Mapping[str, Tensor]) -> Clip:
    """Both towers in evaluation mode with these tensors as parameters (shared, not copied)."""
    with torch.device("meta"):
        clip = Clip(config)
    clip.load_state_dict(dict(tensors), strict=True, assign=True)
    return clip.eval().requires_grad_(False)
