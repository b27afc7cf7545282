"""What an engine says of one frame, before anybody judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.frame.prepare import Frame
from clipspect.frame.views import Box
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Answer:
    """One frame's score and map, merged of its views, and the outputs of the graph that somebody asked for."""

    frame: Frame = field(repr=False)  # that was scored: prepared again where it was for another recipe's views
    score: float
    model_map: npt.NDArray[np.float32] = field(repr=False)  # (H, W); of tiles, merged, in their scale
    map_box: Box  # the rectangle of the frame that the map speaks of
    infer_ms: float
    recipe: Recipe = field(repr=False)  # whose tensors it was scored with
    limits: Limits | None  # that judge it: the recipe's, or what is left of them in another precision than theirs
    map_limit: float  # the map's value over which a pixel belongs to a region
    embedding: npt.NDArray[np.float32] | None = field(default=None, repr=False)  # (D,) of length 1; None in old bundles
    extras: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict, repr=False)  # by name, (views, ...)
