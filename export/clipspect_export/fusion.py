"""Prompt fusion: how the embeddings of a state's prompts become the `text_features` (2, P, D) of a graph.

With `mean` each state is one averaged prompt, P = 1. With `max` every prompt is kept, and the graph scores by the
state's largest cosine.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def unit_mean(embeddings: Tensor) -> Tensor:
    """(P, D) to (1, D), APRIL-GAN's average: normalise, mean, normalise."""
    mean = functional.normalize(embeddings, dim=-1).mean(dim=0, keepdim=True)
    return functional.normalize(mean, dim=-1)


def keep_all(normal: Tensor, anomalous: Tensor) -> Tensor:
    """(A, D) and (B, D) to (2, max(A, B), D): every prompt.

    The shorter state repeats its first, which changes no maximum.
    """
    longest = max(len(normal), len(anomalous))
    return torch.stack([torch.cat([part, part[:1].expand(longest - len(part), -1)]) for part in (normal, anomalous)])
