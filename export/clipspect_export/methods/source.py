"""A backbone, whichever it is, from its name to loaded weights: CLIP with both towers, or DINOv2."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipspect.bundle.manifest import Backbone, Weights
from clipspect_export.methods.method import CLIP, Method, SizeOptions
from clipspect_export.methods.model import at_size_of, size_of
from clipspect_export.towers.clip import Clip, build_clip
from clipspect_export.towers.config import QUICK_GELU, ClipConfig, read_backbone
from clipspect_export.towers.dino import Dino, build_dino
from clipspect_export.towers.dino_config import IMAGE_SIZE, DinoConfig, at_size, parse_image_size, read_dino
from clipspect_export.towers.dino_weights import load_dino
from clipspect_export.towers.weights import encoder_sha256, load_weights


@dataclass(frozen=True)
class Source:
    """A backbone with its weights loaded."""

    tower: Clip | Dino
    described: Backbone

    @property
    def config(self) -> ClipConfig | DinoConfig:
        return self.tower.config


def read_config(method: Method, backbone: str | Path, options: Any) -> ClipConfig | DinoConfig:
    """The architecture of the backbone that a method takes, at the size that is asked for. Raises ExportError."""
    if method.tower == CLIP:
        given = options.image_size if isinstance(options, SizeOptions) else None
        return size_of(method, read_backbone(backbone), None if given is None else parse_image_size(given))
    size = parse_image_size(options.image_size or f"{IMAGE_SIZE}")
    return at_size(read_dino(backbone), *size)


def load_source(method: Method, backbone: str | Path, weights: str | Path, config: ClipConfig | DinoConfig) -> Source:
    """The weights of a file or a tag, in the architecture that `read_config` read. Raises ExportError."""
    return (
        _load_clip(method, backbone, weights, config.image_size)
        if isinstance(config, ClipConfig)
        else _load_dino(weights, config)
    )


def _load_clip(method: Method, backbone: str | Path, weights: str | Path, image_size: tuple[int, int]) -> Source:
    config = read_backbone(backbone)  # at the size that the weights were trained for
    if method.activation is not None:  # the method's, whatever the weights are known to need
        config = dataclasses.replace(config, activation=QUICK_GELU)
    loaded, config = load_weights(weights, config)
    config = dataclasses.replace(config, activation=method.activation or config.activation)
    digest = encoder_sha256(loaded.tensors, config.activation)
    described = Weights(loaded.source, loaded.name, loaded.sha256, digest)
    tensors, config = at_size_of(method, loaded.tensors, config, image_size)
    return Source(build_clip(config, tensors), Backbone(config.name, config.activation, described))


def _load_dino(weights: str | Path, config: DinoConfig) -> Source:
    loaded = load_dino(weights, config)
    digest = encoder_sha256(loaded.tensors, config.activation)
    described = Weights(loaded.source, loaded.name, loaded.sha256, digest)
    return Source(build_dino(config, loaded.tensors), Backbone(config.name, config.activation, described))
