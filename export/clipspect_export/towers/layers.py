"""What the graphs compute with: layers in the form that engines recognise, sharing the towers' weights."""

from __future__ import annotations

import math

from torch import Tensor, nn

from clipspect_export.towers.clip import QuickGelu
from clipspect_export.towers.config import QUICK_GELU


class Linear(nn.Module):
    """A linear layer whose weight is stored (in, out): one MatMul in the graph, and one Add where it has a bias."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.T.contiguous(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.contiguous(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        product = x @ self.weight
        return product if self.bias is None else product + self.bias


class Gelu(nn.Module):
    """Exact GELU in the order of operations that engines recognise and fuse; opset 18 has no operator for it."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + (x / math.sqrt(2)).erf()) * 0.5


def activation(name: str) -> nn.Module:
    """The activation of that name."""
    return QuickGelu() if name == QUICK_GELU else Gelu()


def to_heads(x: Tensor, heads: int) -> Tensor:
    """(N, T, W) to (N, heads, T, W / heads)."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)
