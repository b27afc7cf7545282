"""Seeded DINOv2 weights and pictures, identical on every machine and with every version of NumPy.

What the references answered (tests/golden) was made with these: no number that is drawn here may change.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from seeded.weights import SeededWeights

TINY = {"width": 128, "layers": 12}  # heads are 64 wide
SMALL = {"width": 384, "layers": 12}
BASE = {"width": 768, "layers": 12}
TABLE = 37  # patches along a side that the positions are for


def dino_weights(seed: int, *, width: int, layers: int, registers: int = 0, patch: int = 14) -> SeededWeights:
    """A DINOv2's tensors under facebookresearch's names."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, TABLE * TABLE + 1, width),
        "mask_token": (1, width),
        "patch_embed.proj.weight": (width, 3, patch, patch),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    if registers:
        shapes["register_tokens"] = (1, registers, width)
    for layer in range(layers):
        shapes |= {f"blocks.{layer}.{name}": shape for name, shape in _block(width).items()}
    return {name: _draw(name, shape, seed) for name, shape in shapes.items()}


def to_timm(weights: SeededWeights) -> SeededWeights:
    """The same under timm's names, where registers go with a class token that holds its position already."""
    found = {name: value for name, value in weights.items() if name != "mask_token"}
    if "register_tokens" in found:
        found["reg_token"] = found.pop("register_tokens")
        found["cls_token"], found["pos_embed"] = (
            found["cls_token"] + found["pos_embed"][:, :1],
            found["pos_embed"][:, 1:],
        )
    return found


def _block(width: int) -> dict[str, tuple[int, ...]]:
    return {
        "norm1.weight": (width,),
        "norm1.bias": (width,),
        "attn.qkv.weight": (3 * width, width),
        "attn.qkv.bias": (3 * width,),
        "attn.proj.weight": (width, width),
        "attn.proj.bias": (width,),
        "ls1.gamma": (width,),
        "norm2.weight": (width,),
        "norm2.bias": (width,),
        "mlp.fc1.weight": (4 * width, width),
        "mlp.fc1.bias": (4 * width,),
        "mlp.fc2.weight": (width, 4 * width),
        "mlp.fc2.bias": (width,),
        "ls2.gamma": (width,),
    }


def _draw(name: str, shape: tuple[int, ...], seed: int) -> npt.NDArray[np.float32]:
    """One tensor, from NumPy's frozen legacy generator keyed by crc32(name) + seed."""
    x = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32).normal(size=shape)
    leaf = name.rsplit(".", 1)[-1]
    if name == "norm.weight":
        x = 2.0 + 0.4 * x
    elif "norm" in name:
        x = 1.0 + 0.2 * x if leaf == "weight" else 0.1 * x
    elif leaf == "gamma":  # LayerScale, far from 1 and from 0
        x = 0.4 + 0.2 * x
    elif leaf == "bias":
        x = 0.1 * x
    elif name in ("cls_token", "pos_embed", "mask_token", "register_tokens"):
        x = 0.3 * x
    else:  # convolution and linear layers, by what each output sums up; attention is sharper than that gives
        x = x / np.sqrt(np.prod(shape[1:])) * (1.5 if "qkv" in name else 1.0)
    return x.astype(np.float32)
