"""A method over loaded weights: the graphs that it exports by what judges, and what each must equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from clipspect.engines.graph import ANOMALY_MAP, FEATURES, REFERENCE, SCORE, WORDS_MAP, WORDS_SCORE
from clipspect.recipes.galleries import MAP_LIMITS
from clipspect_export.graph.write import GraphInput

Features = npt.NDArray[np.float32]
Reference = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

_EXAMPLE_ROWS = 5  # not 1: torch takes a 1 for a constant

# uint8 images, references (R, H, W, 3), text features, and map limits where the method takes them, to score, anomaly
# map, and the images' own rows for each gallery (N, rows, width), of length 1
FewShotReference = Callable[..., tuple[Tensor, Tensor, list[Tensor]]]


@dataclass(frozen=True)
class FewShotModel:
    """A method that also compares with references, over loaded weights."""

    graph: Callable[[], nn.Module]  # it copies the weights: made when it is needed
    reference: FewShotReference
    galleries: dict[str, int]  # the width of their rows by name, in the order of the graph's arguments
    map_range: tuple[float, float]
    takes_map_limits: bool = False

    def inputs(self, zero_shot: dict[str, GraphInput]) -> dict[str, GraphInput]:
        """Of the graph: the zero-shot graph's, the map limits, and galleries of as many rows as one likes."""
        limits = {MAP_LIMITS: GraphInput(torch.tensor(self.map_range), {})} if self.takes_map_limits else {}
        galleries = {
            REFERENCE + name: GraphInput(torch.randn(_EXAMPLE_ROWS, width), {0: f"R_{name}"})
            for name, width in self.galleries.items()
        }
        return {**zero_shot, **limits, **galleries}

    @property
    def outputs(self) -> list[str]:
        """Of the graph: score and anomaly map, the image's own rows, of which a box makes galleries, and what the words
        alone say, so that an engine with this graph needs no other for recipes of words."""
        return [SCORE, ANOMALY_MAP, *(FEATURES + name for name in self.galleries), WORDS_SCORE, WORDS_MAP]


@dataclass(frozen=True)
class Model:
    """A method over loaded weights: what is exported, and what that must equal."""

    graph: Callable[[], nn.Module]  # it copies the weights: made when it is needed
    reference: Reference
    features: Callable[[str], Features]  # an object's text features, (2, P, D)
    prompts: dict[str, Any]  # what a recipe says of them
    ensemble: str | None  # the method's own prompts by name; None: learned ones
    mean: str  # what fusion "mean" averages
    tolerance: float  # between graph and reference, on scores and maps
    map_range: tuple[float, float]
    parameters: dict[str, Any]  # for the manifest
    few_shot: FewShotModel | None = None
