"""DINOv2's architectures by timm's names, and the size of the image that they are to read."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipspect.base.errors import ExportError
from clipspect.frame.spec import ImageSpec
from clipspect_export.towers.config import (
    GELU,
    MOST_LAYERS,
    MOST_SIDE,
    MOST_WIDTH,
    read_json,
    require_buildable,
    require_patches,
    whole_number,
)

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the pixels in [0, 1]
HEAD_WIDTH = 64
IMAGE_SIZE = 448  # pixels: what both published methods read; the tower was trained at 518
_MOST_REGISTERS = 64
_ABOUT = {"architecture", "global_pool", "license", "model_args", "num_classes", "num_features", "pretrained_cfg"}
_KEYS = {"patch_size", "embed_dim", "depth", "num_heads", "reg_tokens", "img_size", "init_values", "no_embed_class"}


@dataclass(frozen=True)
class DinoConfig:
    """A DINOv2 vision transformer (Oquab et al. 2024), with register tokens (Darcet et al. 2024) or without."""

    name: str  # timm's
    width: int
    layers: int
    registers: int = 0
    patch_size: int = 14
    image: ImageSpec = field(default_factory=lambda: ImageSpec(IMAGE_SIZE, IMAGE_SIZE))
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    activation: str = GELU
    text_dim: int | None = None  # it has no text tower

    @property
    def heads(self) -> int:
        return self.width // HEAD_WIDTH

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.image.height // self.patch_size, self.image.width // self.patch_size


CONFIGS = {
    config.name: config
    for config in (
        DinoConfig("vit_small_patch14_dinov2", 384, 12),
        DinoConfig("vit_small_patch14_reg4_dinov2", 384, 12, registers=4),
        DinoConfig("vit_base_patch14_dinov2", 768, 12),
        DinoConfig("vit_base_patch14_reg4_dinov2", 768, 12, registers=4),
    )
}


def read_dino(backbone: str | Path) -> DinoConfig:
    """A `DinoConfig` from timm's name, or from a JSON file (a Path, or a name that ends in `.json`) in timm's form.

    Such a file holds the `architecture`, one of the names, and in `model_args` what is different. Raises ExportError.
    """
    if isinstance(backbone, Path) or backbone.endswith(".json"):
        return _from_document(Path(backbone).stem, read_json(Path(backbone)))
    if backbone not in CONFIGS:
        raise ExportError(
            f"{backbone!r} is no DINOv2 backbone; there are: {', '.join(CONFIGS)}; a CLIP's image tower remembers with "
            "--memory of a method that reads words"
        )
    return CONFIGS[backbone]


def at_size(config: DinoConfig, height: int, width: int) -> DinoConfig:
    """The configuration for images of that size. Raises ExportError where it does not divide into patches."""
    require_patches(config.name, config.patch_size, height, width)
    return dataclasses.replace(config, image=ImageSpec(height, width))


def _from_document(name: str, document: dict[str, Any]) -> DinoConfig:
    architecture, changes = document.get("architecture"), document.get("model_args", {})
    if not isinstance(architecture, str) or architecture not in CONFIGS:
        raise ExportError(f"{name}: architecture is {architecture!r:.80}, expected {' or '.join(CONFIGS)}")
    if not isinstance(changes, dict):
        raise ExportError(f"{name}: model_args is {changes!r:.80}, expected an object")
    _require_known(f"{name}: ", document, _ABOUT)
    _require_known(f"{name}: model_args ", changes, _KEYS)
    base = CONFIGS[architecture]
    config = dataclasses.replace(
        base,
        name=name,
        width=whole_number(name, changes, "embed_dim", base.width, MOST_WIDTH),
        layers=whole_number(name, changes, "depth", base.layers, MOST_LAYERS),
        registers=whole_number(name, changes, "reg_tokens", base.registers, _MOST_REGISTERS, least=0),
        patch_size=whole_number(name, changes, "patch_size", base.patch_size, MOST_SIDE),
    )
    require_buildable(name, config.layers, config.width, 4 * config.width)
    heads = whole_number(name, changes, "num_heads", config.heads, MOST_WIDTH)
    if config.width % HEAD_WIDTH or heads != config.heads:
        raise ExportError(f"{name}: {heads} heads in a width of {config.width}; DINOv2's heads are {HEAD_WIDTH} wide")
    if changes.get("no_embed_class", config.registers > 0) is not (config.registers > 0):
        raise ExportError(f"{name}: no_embed_class: DINOv2 has it true with registers and false without")
    return config


def _require_known(where: str, given: dict[str, Any], known: set[str]) -> None:
    if unknown := ", ".join(sorted(given.keys() - known)):
        raise ExportError(f"{where}{unknown:.80} is not known; known are {', '.join(sorted(known))}")


def parse_image_size(text: str) -> tuple[int, int]:
    """Height and width of `448x672`, or of `448` for a square. Raises ExportError."""
    found = re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", text)
    if found is None:
        raise ExportError(f"image size {text!r:.40}: expected HEIGHTxWIDTH in pixels, such as 448x672")
    return int(found[1]), int(found[2] or found[1])
