"""What the eager references of methods with learned prompts share; the graphs compute the same in another way."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from clipspect_export.towers.config import ClipConfig


def normalised(image: Tensor, config: ClipConfig) -> Tensor:
    """uint8 (N, H, W, 3) to what CLIP reads: (N, 3, H, W)."""
    mean, std = torch.tensor(config.mean), torch.tensor(config.std)
    return ((image.float() / 255 - mean) / std).permute(0, 3, 1, 2)


def anomalous_probability(embeddings: Tensor, text_features: Tensor, temperature: float) -> Tensor:
    """(..., D) and (2, P, D) to the probability of the anomalous state (...)."""
    embeddings = functional.normalize(embeddings, dim=-1)
    cosines = [(embeddings @ functional.normalize(prompts, dim=-1).T).amax(dim=-1) for prompts in text_features]
    return (torch.stack(cosines, dim=-1) / temperature).softmax(dim=-1)[..., 1]


def gaussian_filter(anomaly_map: Tensor, sigma: float) -> Tensor:
    """scipy.ndimage's, on the last two axes: cut at 4 sigma, the image mirrored at its edges; sigma 0 is none."""
    if sigma == 0:
        return anomaly_map
    radius = int(4 * sigma + 0.5)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float64) / sigma) ** 2)
    kernel /= kernel.sum()
    result = anomaly_map.double()
    for axis in (-2, -1):
        size = result.shape[axis]
        mirrored = torch.cat([torch.arange(size), torch.arange(size).flip(0)])
        places = mirrored[torch.arange(-radius, size + radius) % (2 * size)]
        result = result.index_select(axis, places).unfold(axis, 2 * radius + 1, 1) @ kernel
    return result.float()
