"""A CLIP so small that hypothesis can ask it anything."""

from __future__ import annotations

import torch

from clipspect_export.towers.clip import Clip, build_clip, expected_shapes
from clipspect_export.towers.config import config_from_document
from support.golden_clip import golden_weights

SMALL = {  # a 4 x 4 grid
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 64, "layers": 3, "head_width": 16},
    "text_cfg": {"width": 64, "heads": 1, "layers": 1, "vocab_size": 8},
}


def seeded(form: dict[str, object]) -> Clip:
    config = config_from_document("small", form)
    tensors = {name: golden_weights.draw(name, shape, 3) for name, shape in expected_shapes(config).items()}
    return build_clip(config, {name: torch.from_numpy(value) for name, value in tensors.items()})


def images_and_text(clip: Clip, images: int, prompts: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(images + 10 * prompts)
    size = clip.config.image_size
    pixels = torch.randint(0, 256, (images, *size, 3), dtype=torch.uint8, generator=generator)
    return pixels, torch.randn(2, prompts, clip.config.embed_dim, generator=generator)
