"""What the methods share of scoring: the largest cosine of each state, and the difference of the two."""

from __future__ import annotations

from torch import Tensor

from clipspect_export.winclip import unit


def cosine_difference(embeddings: Tensor, text_features: Tensor) -> Tensor:
    """(N, G, D) and (2, P, D), neither normalised, to the anomalous state's cosine minus the normal one's (N, G).

    A state's cosine is the largest over its P prompts. The softmax over two states is a sigmoid of this difference,
    times the inverse temperature.
    """
    cosines = unit(embeddings).unsqueeze(1) @ unit(text_features).transpose(-1, -2)  # (N, 2, G, P)
    best = cosines.amax(dim=-1)
    return best[:, 1] - best[:, 0]
