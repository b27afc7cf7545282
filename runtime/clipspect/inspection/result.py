"""What an inspection answers: the score, the map, the regions and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from clipspect.frame.quality import Quality
from clipspect.inspection.maps import peak_in_source, to_source_size
from clipspect.inspection.regions import Region
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import Recipe

Verdict = Literal["pass", "uncertain", "fail", "invalid"]


@dataclass(frozen=True)
class Timings:
    """Milliseconds per stage for one image; in a batch, `infer` is the batch's time divided by its images.

    In a stream the stages of several images overlap: a stage's time is then its own, the images a second are more.
    """

    decode: float
    preprocess: float
    infer: float
    post: float  # regions and verdict; the map in the source image's size is made when it is read

    @property
    def total(self) -> float:
        return self.decode + self.preprocess + self.infer + self.post


@dataclass(frozen=True, eq=False)
class Result:
    """One image, inspected. Score and maps are the method's raw values, higher is more anomalous."""

    source: str | None  # the path, when the frame had one
    score: float
    model_map: npt.NDArray[np.float32] = field(repr=False)  # (h, w) as the graph answers, in the model's size
    size: tuple[int, int]  # width, height of the source image
    recipe: Recipe = field(repr=False)  # that scored and judged it
    verdict: Verdict | None  # None: the recipe has no limits, and the frame is a valid one
    regions: tuple[Region, ...]  # where anomaly_map lies over map_limit, the highest peak first
    map_limit: float
    timings: Timings
    quality: Quality  # what calibration tells valid frames by, as is the image's embedding
    limits: Limits | None = None  # that judged it: the recipe's, widened where another engine or precision scored
    reasons: tuple[str, ...] = ()  # why the frame is invalid: its score and map say nothing of the part
    notes: tuple[str, ...] = ()  # what else is to be said of the frame: it is of another size than those of calibration
    embedding: npt.NDArray[np.float32] | None = field(default=None, repr=False)  # (D,) of length 1; None in old bundles

    @cached_property
    def anomaly_map(self) -> npt.NDArray[np.float32]:
        """The map in the source image's size, float32 (height, width); made at the first reading and kept."""
        return to_source_size(self.model_map, *self.size)

    @cached_property
    def peak(self) -> float:
        """The largest value of `anomaly_map`, which need not be made for it."""
        return self.regions[0].peak if self.regions else peak_in_source(self.model_map, *self.size)


def decide(score: float, limits: Limits | None) -> Verdict | None:
    """`pass` below the review limit, `fail` from the reject limit, `uncertain` between; None without limits."""
    if limits is None:
        return None
    if score >= limits.reject:
        return "fail"
    return "uncertain" if score >= limits.review else "pass"
