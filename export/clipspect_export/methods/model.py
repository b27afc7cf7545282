"""A method over loaded weights: its graphs by role, and what each must equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from clipspect.base.errors import ExportError
from clipspect.bundle.windows_graph import FEATURES_OF_PATCHES, window_count
from clipspect.engines.graph import (
    ANOMALY_MAP,
    CHOSEN_WINDOWS,
    FEATURES,
    IMAGE,
    IMAGE_EMBEDDING,
    REFERENCE,
    SCORE,
    TEXT_FEATURES,
    WINDOW_EMBEDDINGS,
    WORDS_MAP,
    WORDS_SCORE,
)
from clipspect.frame.spec import ImageSpec
from clipspect.recipes.prompts import MEAN_OF_EMBEDDINGS, EmbeddedWords
from clipspect_export.graph.write import GraphInput
from clipspect_export.methods.method import Method
from clipspect_export.towers.config import ClipConfig, Grid
from clipspect_export.towers.positions import at_image_size, of_size

_EXAMPLE_BATCH, _EXAMPLE_PROMPTS, _EXAMPLE_ROWS = 2, 3, 5  # not 1: torch takes a 1 for a constant

Features = npt.NDArray[np.float32]
# Of words: uint8 images (N, H, W, 3) and text features (2, P, D) to score (N,), anomaly map (N, H, W) and the images'
# embeddings (N, D), of length 1. Of words and references (R, H, W, 3), and map limits where the method takes them:
# besides, the images' own rows for each gallery (N, rows, width), of length 1.
Reference = Callable[..., tuple[Any, ...]]
Remembered = Callable[[Tensor], dict[str, Tensor]]  # of photos (N, H, W, 3)


@dataclass(frozen=True)
class GraphForm:
    """One graph of a method, over loaded weights."""

    module: Callable[[], nn.Module]  # it copies the weights: made when it is needed
    reference: Reference  # in eager torch
    map_range: tuple[float, float]
    galleries: dict[str, int] = field(default_factory=dict)  # the width of their rows, in the order of the arguments
    rows: tuple[str, ...] = ()  # the image's own that the graph answers, where that is not one for each gallery
    fixed: dict[str, Tensor] = field(default_factory=dict)  # further inputs, of a fixed shape; the check gives these
    remembered: Remembered | None = None  # where a box makes the further inputs of photos: then the check does, too
    reads_words: bool = True
    scale: float | None = 1.0  # what differences of scores and maps are told in; None: the map's mean on check images

    def inputs(self, image: ImageSpec, text_dim: int | None) -> dict[str, GraphInput]:
        """Of the graph: images, text features, inputs of fixed shapes, and galleries of as many rows as one likes."""
        pixels = torch.zeros(_EXAMPLE_BATCH, image.height, image.width, 3, dtype=torch.uint8)
        words = {}
        if self.reads_words and text_dim is not None:
            words = {TEXT_FEATURES: GraphInput(torch.randn(2, _EXAMPLE_PROMPTS, text_dim), {1: "P"})}
        fixed = {name: GraphInput(value, {}) for name, value in self.fixed.items()}
        galleries = {
            REFERENCE + name: GraphInput(torch.randn(_EXAMPLE_ROWS, width), {0: f"R_{name}"})
            for name, width in self.galleries.items()
        }
        return {
            IMAGE: GraphInput(pixels, {0: "N"}),
            **words,
            **fixed,
            **galleries,
        }

    @property
    def outputs(self) -> list[str]:
        """Of the graph: score, anomaly map and the image's embedding; the image's own rows, of which a box makes
        galleries or explains a map; with galleries also what the words alone say, so that an engine with this graph
        needs no other for recipes of words."""
        rows = [FEATURES + name for name in self.rows or self.galleries]
        words = [WORDS_SCORE, WORDS_MAP] if self.galleries and self.reads_words else []
        return [SCORE, ANOMALY_MAP, IMAGE_EMBEDDING, *rows, *words]


@dataclass(frozen=True)
class WindowsForm:
    """A method's graph of windows on demand, and what the manifest says of it besides its tensors."""

    module: Callable[[bool], nn.Module]  # whether references are to be compared with: it answers the patches, too
    grid: Grid
    scales: tuple[int, ...]
    described: dict[str, Any]  # stride, fusion, multi_crop, temperature

    def inputs(self, image: ImageSpec) -> dict[str, GraphInput]:
        """Images, and of each scale the tokens of some windows."""
        pixels = torch.zeros(_EXAMPLE_BATCH, image.height, image.width, 3, dtype=torch.uint8)
        chosen = {
            f"{CHOSEN_WINDOWS}{scale}": GraphInput(
                torch.zeros(_EXAMPLE_ROWS + place, 1 + scale**2, dtype=torch.int64), {0: f"M_{scale}"}
            )
            for place, scale in enumerate(self.scales)
        }
        return {IMAGE: GraphInput(pixels, {0: "N"}), **chosen}

    @property
    def lengths(self) -> dict[str, int]:
        """The dynamic dimensions when every window of one image is asked for."""
        stride = self.described["stride"]
        return {f"M_{scale}": window_count(self.grid, scale, stride) for scale in self.scales}

    def outputs(self, compares: bool) -> list[str]:
        windows = [f"{WINDOW_EMBEDDINGS}{scale}" for scale in self.scales]
        return [IMAGE_EMBEDDING, *windows, *([FEATURES_OF_PATCHES] if compares else [])]


@dataclass(frozen=True)
class Model:
    """A method over loaded weights: what is exported, and what that must equal."""

    forms: dict[str, GraphForm]  # by role; that of words comes first
    tolerance: float  # between graph and reference, on scores and maps
    parameters: dict[str, Any]  # for the manifest
    words: Callable[[str], EmbeddedWords] | None = None  # of an object; None: it reads none
    ensemble: str | None = None  # the method's own prompts by name; None: learned ones
    mean: str = MEAN_OF_EMBEDDINGS  # what fusion "mean" averages
    windows: WindowsForm | None = None


def size_of(method: Method, config: ClipConfig, asked: tuple[int, int] | None = None) -> ClipConfig:
    """The backbone at the image size, height and width, that is asked for, or that the method runs at.

    Raises ExportError for a size that patches do not fill, and where the method cannot leave the backbone's own.
    """
    published = None if method.image_size is None else (method.image_size, method.image_size)
    size = asked or published or config.image_size
    if size != config.image_size and method.positions is None:
        raise ExportError(f"{method.name} runs at the backbone's own image size: leave --image-size out")
    return of_size(config, size)


def at_size_of(
    method: Method, tensors: Mapping[str, Tensor], config: ClipConfig, asked: tuple[int, int] | None = None
) -> tuple[dict[str, Tensor], ClipConfig]:
    """CLIP's weights and configuration at that size. Raises ExportError."""
    sized = size_of(method, config, asked)
    if method.positions is None:
        return dict(tensors), sized
    return at_image_size(tensors, sized, method.positions), sized
