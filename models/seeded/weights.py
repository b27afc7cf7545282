"""Seeded CLIP weights and pictures, identical on every machine and with every version of NumPy.

What the references answered (tests/golden) was made with these: no number that is drawn here may change.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

SeededWeights = dict[str, npt.NDArray[Any]]

MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)  # CLIP's
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def clip_weights(
    seed: int,
    *,
    embed_dim: int,
    image_size: int,
    patch: int,
    vwidth: int,
    vlayers: int,
    twidth: int,
    tlayers: int,
    vocab: int = 49408,
    context: int = 77,
) -> SeededWeights:
    """A CLIP's tensors under OpenAI's names; widths and layers of the image tower (v) and the text tower (t)."""
    shapes: dict[str, tuple[int, ...]] = {
        "positional_embedding": (context, twidth),
        "text_projection": (twidth, embed_dim),
        "logit_scale": (),
        "visual.class_embedding": (vwidth,),
        "visual.positional_embedding": ((image_size // patch) ** 2 + 1, vwidth),
        "visual.proj": (vwidth, embed_dim),
        "visual.conv1.weight": (vwidth, 3, patch, patch),
        "visual.ln_pre.weight": (vwidth,),
        "visual.ln_pre.bias": (vwidth,),
        "visual.ln_post.weight": (vwidth,),
        "visual.ln_post.bias": (vwidth,),
        "token_embedding.weight": (vocab, twidth),
        "ln_final.weight": (twidth,),
        "ln_final.bias": (twidth,),
    }
    for tower, width, layers in (("visual.transformer", vwidth, vlayers), ("transformer", twidth, tlayers)):
        for layer in range(layers):
            shapes |= {f"{tower}.resblocks.{layer}.{name}": shape for name, shape in _block(width).items()}
    return {name: draw(name, shape, seed) for name, shape in shapes.items()}


def _block(width: int) -> dict[str, tuple[int, ...]]:
    return {
        "attn.in_proj_weight": (3 * width, width),
        "attn.in_proj_bias": (3 * width,),
        "attn.out_proj.weight": (width, width),
        "attn.out_proj.bias": (width,),
        "ln_1.weight": (width,),
        "ln_1.bias": (width,),
        "ln_2.weight": (width,),
        "ln_2.bias": (width,),
        "mlp.c_fc.weight": (4 * width, width),
        "mlp.c_fc.bias": (4 * width,),
        "mlp.c_proj.weight": (width, 4 * width),
        "mlp.c_proj.bias": (width,),
    }


def draw(name: str, shape: tuple[int, ...], seed: int) -> npt.NDArray[np.float32]:
    """One tensor, from NumPy's frozen legacy generator keyed by crc32(name) + seed."""
    if name == "logit_scale":
        return np.array(np.log(100.0), np.float32)
    x = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32).normal(size=shape)
    leaf = name.rsplit(".", 1)[-1]
    if ".ln_" in f".{name}":
        x = 1.0 + 0.2 * x if leaf == "weight" else 0.1 * x
    elif leaf in ("bias", "in_proj_bias"):
        x = 0.1 * x
    elif "embedding" in name:
        x = 0.5 * x
    elif leaf in ("proj", "text_projection"):
        x = x / np.sqrt(shape[0])
    else:  # convolutions and linear layers, by what each output sums up
        x = x / np.sqrt(np.prod(shape[1:]))
    return x.astype(np.float32)


def write_weights(path: Path, weights: SeededWeights) -> Path:
    """A safetensors file of them."""
    save_file({name: np.ascontiguousarray(value) for name, value in weights.items()}, path)
    return path


def images(count: int, size: int, seed: int) -> npt.NDArray[np.uint8]:
    """Smooth coloured fields with one sharp blemish each: RGB, (count, size, size, 3)."""
    rng = np.random.RandomState(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    fields = np.empty((count, size, size, 3))
    for picture in fields:
        for channel in range(3):
            f, p = rng.uniform(1, 12, 4), rng.uniform(0, 6.28, 2)
            slow, fast = np.sin(f[0] * x + f[1] * y + p[0]), np.sin(6 * f[2] * x - 6 * f[3] * y + p[1])
            picture[..., channel] = 0.5 + 0.25 * slow + 0.15 * fast
        top, left = rng.randint(size // 8, 6 * size // 8, 2)
        height, width = rng.randint(size // 16, size // 6, 2)
        picture[top : top + height, left : left + width] = rng.uniform(0, 1, 3)
    return np.rint(np.clip(fields, 0, 1) * 255).astype(np.uint8)


def normalised(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What the references are fed: float32, (N, 3, H, W), (pixels / 255 - MEAN) / STD."""
    scaled: npt.NDArray[np.float32] = (pixels.astype(np.float32) / 255 - MEAN) / STD
    return scaled.transpose(0, 3, 1, 2).copy()
