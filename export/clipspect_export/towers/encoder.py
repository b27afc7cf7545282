"""The vision tower as a graph computes it: uint8 pixels to tokens, and the blocks.

Letters in shapes: N images, L patches, T = 1 + L tokens, W width, h heads, d = W / h.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clipspect_export.towers.clip import Block, VisionTower
from clipspect_export.towers.config import ClipConfig
from clipspect_export.towers.layers import Linear, activation, to_heads

PIXEL_MAX = 255.0


class TokenEmbedding(nn.Module):
    """From the image as it comes to the tokens that the first block reads."""

    pixel_mean: Tensor
    pixel_gain: Tensor
    class_token: Tensor
    positions: Tensor

    def __init__(self, tower: VisionTower, config: ClipConfig) -> None:
        super().__init__()
        self.conv, self.ln_pre = tower.conv1, tower.ln_pre
        positions = tower.positional_embedding
        self.register_buffer("pixel_mean", torch.tensor(config.mean) * PIXEL_MAX)
        self.register_buffer("pixel_gain", 1 / (torch.tensor(config.std) * PIXEL_MAX))
        self.register_buffer("class_token", (tower.class_embedding + positions[0])[None, None])  # (1, 1, W)
        self.register_buffer("positions", positions[1:].clone())  # (L, W)

    def forward(self, image: Tensor) -> Tensor:
        """uint8 RGB (N, H, W, 3) to normalised tokens (N, T, W), the class token first."""
        pixels = ((image.float() - self.pixel_mean) * self.pixel_gain).permute(0, 3, 1, 2)
        patches = self.conv(pixels).flatten(2).transpose(1, 2) + self.positions  # (N, L, W)
        # not expand(): the batch size as a value is a node on the CPU, which a session that must be all CUDA refuses
        x = torch.cat([patches[:, :1] * 0 + self.class_token, patches], dim=1)
        return self.ln_pre(x)  # type: ignore[no-any-return]


class EncoderBlock(nn.Module):
    """A CLIP block, its q, k and v apart; the scale of q @ k.T is in the query's weights.

    k has no bias: it adds the same to all logits of a query, which the softmax takes out. Nor has v, where it is only
    mixed: its bias is in that of the output projection.
    """

    def __init__(self, block: Block, activation_name: str, *, values_are_keys: bool = False) -> None:
        """`values_are_keys`: v takes the place of q and k, too, and keeps its bias."""
        super().__init__()
        self.heads = block.attn.heads
        self.scale = (block.attn.in_proj_weight.shape[1] / self.heads) ** -0.5
        self.ln_1, self.ln_2 = block.ln_1, block.ln_2
        (wq, wk, wv), (bq, _, bv) = block.attn.in_proj_weight.chunk(3), block.attn.in_proj_bias.chunk(3)
        wo, bo = block.attn.out_proj.weight, block.attn.out_proj.bias
        self.query, self.key = Linear(wq * self.scale, bq * self.scale), Linear(wk)
        self.value = Linear(wv, bv if values_are_keys else None)
        self.out = Linear(wo, bo if values_are_keys else bias_after_mixing(bv, wo, bo))
        self.fc = Linear(block.mlp.c_fc.weight, block.mlp.c_fc.bias)
        self.activation = activation(activation_name)
        self.proj = Linear(block.mlp.c_proj.weight, block.mlp.c_proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, W) to (N, T, W)."""
        y = self.ln_1(x)
        q, k, v = (to_heads(layer(y), self.heads) for layer in (self.query, self.key, self.value))
        return self.finish(x, attend(q, k, v))

    def to_class(self, x: Tensor) -> Tensor:
        """The last block when no patch is read after it: (N, T, W) to the class token (N, 1, W)."""
        y = self.ln_1(x)
        q, k, v = self.query(y[:, :1]), self.key(y), self.value(y)
        return self.finish(x[:, :1], attend(*(to_heads(part, self.heads) for part in (q, k, v))))

    def finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        """What follows attention, row by row: (N, Q, W)."""
        x = x + self.out(mixed)
        return x + self.proj(self.activation(self.fc(self.ln_2(x))))  # type: ignore[no-any-return]


def bias_after_mixing(value_bias: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The output projection's bias (W,) when v comes without its own: a query's weights sum to 1, so the mean of
    v + b is the mean of v, plus b, and the projection (W, W) takes that b along."""
    return (bias.double() + weight.double() @ value_bias.double()).float()


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q, scaled: (N, h, Q, d); k, v: (N, h, T, d). Returns the values mixed for each query, (N, Q, W)."""
    mixed = (q @ k.transpose(-1, -2)).softmax(dim=-1) @ v  # (N, h, Q, d)
    return mixed.transpose(1, 2).flatten(2)
