"""What the methods share of scoring: closeness to the prompts of each state, and distance from references."""

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


def distance(rows: Tensor, gallery: Tensor) -> Tensor:
    """Unit rows (N, L, W) and a gallery of them (R, W) to 1 minus each row's largest cosine, (N, L) from 0 to 2."""
    return 1 - (rows @ gallery.T).amax(dim=-1)


def unit(x: Tensor) -> Tensor:
    """Each row divided by its length."""
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / length.clamp(min=SMALLEST_LENGTH)
