"""What the methods share of scoring: the largest cosine of each state, and the difference of the two."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_LENGTH = 1e-12  # torch's normalize() has the same


def cosine_difference(embeddings: Tensor, text_features: Tensor) -> Tensor:
    """(N, G, D) and (2, P, D), neither normalised, to the anomalous state's cosine minus the normal one's (N, G).

    A state's cosine is the largest over its P prompts. The softmax over two states is a sigmoid of this difference,
    times the inverse temperature.
    """
    cosines = unit(embeddings).unsqueeze(1) @ unit(text_features).transpose(-1, -2)  # (N, 2, G, P)
    best = cosines.amax(dim=-1)
    return best[:, 1] - best[:, 0]


def unit(x: Tensor) -> Tensor:
    """Each row divided by its length."""
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / length.clamp(min=SMALLEST_LENGTH)
