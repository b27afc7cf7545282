"""The few-shot form of a method: what it is made of, and its graph's tensors by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from clipspect.engines.graph import ANOMALY_MAP, FEATURES, REFERENCE, SCORE
from clipspect.recipes.galleries import MAP_LIMITS
from clipspect_export.graph import GraphInput

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
        """Of the graph: the image's own rows, from which a box makes galleries, after score and anomaly map."""
        return [SCORE, ANOMALY_MAP, *(FEATURES + name for name in self.galleries)]
