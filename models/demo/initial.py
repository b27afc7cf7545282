"""The first weights of the first round."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from clipspect_export.towers.clip import Clip

WHITENING = 0.75  # 1 would make every frequency as strong as the lowest, noise too


def initialise(clip: Clip, seed: int) -> None:
    """CLIP's own initialisation (Radford et al. 2021), shortened: normal weights by width and depth."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in clip.named_parameters():
        leaf = name.rsplit(".", 1)[-1]
        width = value.shape[-1]
        with torch.no_grad():
            if ".ln_" in f".{name}":
                value.fill_(1.0 if leaf == "weight" else 0.0)
            elif leaf in ("bias", "in_proj_bias"):
                value.zero_()
            else:
                fan_in = math.prod(value.shape[1:]) if "conv1" in name else width
                std = 0.02 if "token" in name else 0.1 if "embedding" in name else fan_in**-0.5
                value.normal_(0, std, generator=generator)


def cosine_basis(clip: Clip, pixels: Tensor) -> None:
    """Start the patch embedding as a discrete cosine transform, whitened on normalised pixels (N, 3, H, W).

    A random start would have to find local frequencies first. The lowest are taken: more of brightness than of the
    two colour differences.
    """
    weight = clip.visual.conv1.weight
    count, _, side, _ = weight.shape
    k = torch.arange(side)
    waves = torch.cos(math.pi / side * (k[None] + 0.5) * k[:, None])  # (frequency, place)
    waves = functional.normalize(waves, dim=1)
    order = sorted((u + v, u, v) for u in range(side) for v in range(side))
    colours = functional.normalize(torch.tensor([[1.0, 1, 1], [1, -1, 0], [1, 1, -2]]), dim=1)
    shares = (count - 2 * (count // 5), count // 5, count // 5)
    filters = [
        colour[:, None, None] * waves[u][:, None] * waves[v]
        for colour, share in zip(colours, shares)
        for _, u, v in order[:share]
    ]
    with torch.no_grad():
        weight.copy_(torch.stack(filters))
        spread = clip.visual.conv1(pixels).std(dim=(0, 2, 3))
        weight.div_((spread**WHITENING)[:, None, None, None])
