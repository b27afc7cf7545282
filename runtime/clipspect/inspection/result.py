"""What an inspection answers: the score, the map, the regions and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from clipspect.frame.judged_area import JudgedArea
from clipspect.frame.quality import Quality
from clipspect.frame.views import Box
from clipspect.inspection.explanation import Explanation
from clipspect.inspection.judged import judged_peak
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
    model_map: npt.NDArray[np.float32] = field(repr=False)  # (h, w) as the graph answers; of tiles, merged
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
    explanation: Explanation | None = None  # why its regions were raised; None: nobody asked
    map_box: Box | None = None  # the rectangle that model_map speaks of; None: the whole image
    area: JudgedArea | None = field(default=None, repr=False)  # what of the image is judged; None: all of it

    @cached_property
    def anomaly_map(self) -> npt.NDArray[np.float32]:
        """The map in the source image's size, float32 (height, width); made at the first reading and kept.

        It is 0 where the recipe does not look, and where it does not judge.
        """
        return self.map_in(*self.size)

    @property
    def small_map(self) -> npt.NDArray[np.float32]:
        """The whole image's map in about the scale of `model_map`."""
        box, (rows, columns) = self._map_box, self.model_map.shape
        if box.size == self.size:
            return self.map_in(columns, rows)
        return self.map_in(-(-self.size[0] * columns // box.width), -(-self.size[1] * rows // box.height))

    def map_in(self, width: int, height: int) -> npt.NDArray[np.float32]:
        """The whole image's map in another size, float32 (height, width), as it takes to draw it small."""
        if self._map_box.size == self.size:
            found = to_source_size(self.model_map, width, height)
        else:
            box = self._map_box.scaled(width / self.size[0], height / self.size[1])
            found = np.zeros((height, width), np.float32)
            found[box.slices] = to_source_size(self.model_map, *box.size)
        return found if self.area is None else np.where(self.area.mask(width, height), found, np.float32(0))

    @cached_property
    def peak(self) -> float:
        """The largest value of `anomaly_map` where it is judged; the map need not be made for it."""
        if self.regions:
            return self.regions[0].peak
        if self.area is None:
            return peak_in_source(self.model_map, *self._map_box.size)
        return 0.0 if self.area.fault else judged_peak(self.model_map, self._map_box, self.area)

    @property
    def _map_box(self) -> Box:
        return Box(0, 0, *self.size) if self.map_box is None else self.map_box


def decide(score: float, limits: Limits | None) -> Verdict | None:
    """`pass` below the review limit, `fail` from the reject limit, `uncertain` between; None without limits."""
    if limits is None:
        return None
    if score >= limits.reject:
        return "fail"
    return "uncertain" if score >= limits.review else "pass"
