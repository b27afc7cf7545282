"""The golden CLIPs of AnomalyCLIP, APRIL-GAN and Crane at 518 pixels, and small ones of the same build."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clipspect_export.methods.aprilgan.linear_stages import LinearStage, linear_stages
from clipspect_export.methods.checkpoint import read_checkpoint
from clipspect_export.methods.learned_prompts import learned_prompts, learned_text_features
from clipspect_export.methods.model import at_size_of
from clipspect_export.methods.registry import read_method
from clipspect_export.towers.clip import Clip, build_clip, expected_shapes
from clipspect_export.towers.config import QUICK_GELU, config_from_document
from support.golden_clip import GOLDEN, Arrays, document, golden_weights, weights

PROMPTS = GOLDEN / "anomalyclip_tiny_prompts.pth"
CRANE_PROMPTS = GOLDEN / "crane_tiny_prompts.pth"
LINEAR = GOLDEN / "aprilgan_tiny_linear.pth"

SIZES = {"embed_dim": 64, "image_size": 336, "patch": 14, "vwidth": 128, "vlayers": 24, "twidth": 64}
ANOMALYCLIP = {**SIZES, "tlayers": 12}  # and Crane's
APRILGAN = {**SIZES, "tlayers": 4}
SEEDS = {"anomalyclip": 11, "aprilgan": 13, "crane": 17}
TRAINED = {"anomalyclip": PROMPTS, "aprilgan": LINEAR, "crane": CRANE_PROMPTS}
LAYERS = [(24,), (6, 12, 18, 24)]

SMALL: dict[str, Any] = {  # a 4 x 4 grid
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 24, "head_width": 16},
    "text_cfg": {"width": 16, "heads": 1, "layers": 1},
}


Files = dict[str, dict[str, Path]]  # by method, what an export reads


@cache
def golden(method: str) -> Arrays:
    """The reference's outputs."""
    return dict(np.load(GOLDEN / f"{method}_tiny.npz"))


@cache
def golden_clip(method: str) -> Clip:
    """The tiny CLIP that the reference ran, at 518 pixels."""
    own, sizes = read_method(method), APRILGAN if method == "aprilgan" else ANOMALYCLIP
    config = config_from_document("tiny", document(sizes, quick_gelu=own.activation == QUICK_GELU))
    tensors = {name: torch.from_numpy(np.asarray(value)) for name, value in weights(sizes, SEEDS[method]).items()}
    del tensors["logit_scale"]
    tensors, config = at_size_of(own, tensors, config)
    return build_clip(config, tensors)


def write_config(path: Path, method: str) -> Path:
    """A JSON configuration of the golden CLIP, as its backbone was trained: 336 pixels."""
    path.write_text(json.dumps(document(APRILGAN if method == "aprilgan" else ANOMALYCLIP)), encoding="utf-8")
    return path


def command(method: str, source: dict[str, Path], out: Path) -> list[str]:
    """The arguments of an export from these files."""
    options = [part for name, path in source.items() for part in (f"--{name}", str(path))]
    return ["export", method, "--out", str(out), *options]


def learned_features(method: str = "anomalyclip") -> torch.Tensor:
    """The golden prompts' text features, (2, 1, D)."""
    clip = golden_clip(method)
    prompts = learned_prompts(read_checkpoint(TRAINED[method], method), clip.config)
    return torch.from_numpy(learned_text_features(prompts, clip))


def golden_stages() -> tuple[LinearStage, ...]:
    return linear_stages(read_checkpoint(LINEAR, "aprilgan"), golden_clip("aprilgan").config)


def small_clip(**changes: Any) -> Clip:
    """Seeded weights on a 4 x 4 grid; `changes` replace parts of SMALL."""
    config = config_from_document("small", {**SMALL, **changes})
    tensors = {name: golden_weights.draw(name, shape, 3) for name, shape in expected_shapes(config).items()}
    return build_clip(config, {name: torch.from_numpy(value) for name, value in tensors.items()})


def small_stages(seed: int = 0) -> tuple[LinearStage, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        LinearStage(torch.randn(16, 32, generator=generator) / 6, torch.randn(16, generator=generator) / 6)
        for _ in range(4)
    )


def images_and_text(clip: Clip, images: int, prompts: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(images + 10 * prompts)
    size = clip.config.image_size
    pixels = torch.randint(0, 256, (images, *size, 3), dtype=torch.uint8, generator=generator)
    return pixels, torch.randn(2, prompts, clip.config.embed_dim, generator=generator)
