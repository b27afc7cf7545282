"""A method over loaded weights: its graphs by role, and what each must equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from clipspect.engines.graph import (
    ANOMALY_MAP,
    FEATURES,
    IMAGE,
    IMAGE_EMBEDDING,
    REFERENCE,
    SCORE,
    TEXT_FEATURES,
    WORDS_MAP,
    WORDS_SCORE,
)
from clipspect.recipes.galleries import MAP_LIMITS
from clipspect_export.graph.write import GraphInput
from clipspect_export.methods.method import Method
from clipspect_export.towers.config import ClipConfig
from clipspect_export.towers.positions import at_image_size

_EXAMPLE_BATCH, _EXAMPLE_PROMPTS, _EXAMPLE_ROWS = 2, 3, 5  # not 1: torch takes a 1 for a constant

Features = npt.NDArray[np.float32]
# Of words: uint8 images (N, H, W, 3) and text features (2, P, D) to score (N,), anomaly map (N, H, W) and the images'
# embeddings (N, D), of length 1. Of words and references (R, H, W, 3), and map limits where the method takes them:
# besides, the images' own rows for each gallery (N, rows, width), of length 1.
Reference = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True)
class GraphForm:
    """One graph of a method, over loaded weights."""

    module: Callable[[], nn.Module]  # it copies the weights: made when it is needed
    reference: Reference  # in eager torch
    map_range: tuple[float, float]
    galleries: dict[str, int] = field(default_factory=dict)  # the width of their rows, in the order of the arguments
    takes_map_limits: bool = False

    def inputs(self, config: ClipConfig) -> dict[str, GraphInput]:
        """Of the graph: images, text features, the map limits, and galleries of as many rows as one likes."""
        side = config.image_size
        limits = {MAP_LIMITS: GraphInput(torch.tensor(self.map_range), {})} if self.takes_map_limits else {}
        galleries = {
            REFERENCE + name: GraphInput(torch.randn(_EXAMPLE_ROWS, width), {0: f"R_{name}"})
            for name, width in self.galleries.items()
        }
        return {
            IMAGE: GraphInput(torch.zeros(_EXAMPLE_BATCH, side, side, 3, dtype=torch.uint8), {0: "N"}),
            TEXT_FEATURES: GraphInput(torch.randn(2, _EXAMPLE_PROMPTS, config.embed_dim), {1: "P"}),
            **limits,
            **galleries,
        }

    @property
    def outputs(self) -> list[str]:
        """Of the graph: score, anomaly map and the image's embedding; with galleries also the image's own rows, of
        which a box makes them, and what the words alone say, so that an engine with this graph needs no other for
        recipes of words."""
        rows = [FEATURES + name for name in self.galleries]
        return [SCORE, ANOMALY_MAP, IMAGE_EMBEDDING, *rows, *([WORDS_SCORE, WORDS_MAP] if rows else [])]


@dataclass(frozen=True)
class Model:
    """A method over loaded weights: what is exported, and what that must equal."""

    forms: dict[str, GraphForm]  # by role; that of words comes first
    features: Callable[[str], Features]  # an object's text features, (2, P, D)
    prompts: dict[str, Any]  # what a recipe says of them
    ensemble: str | None  # the method's own prompts by name; None: learned ones
    mean: str  # what fusion "mean" averages
    tolerance: float  # between graph and reference, on scores and maps
    parameters: dict[str, Any]  # for the manifest


def at_size_of(
    method: Method, tensors: Mapping[str, Tensor], config: ClipConfig
) -> tuple[dict[str, Tensor], ClipConfig]:
    """CLIP's weights and configuration at the image size that the method runs at. Raises ExportError."""
    if method.image_size is None or method.positions is None:
        return dict(tensors), config
    return at_image_size(tensors, config, method.image_size, method.positions)
