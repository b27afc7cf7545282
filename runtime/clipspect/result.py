"""What an inspection answers: the score, the map in the source image's size, the regions and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.recipe import Limits
from clipspect.regions import Region

Verdict = Literal["pass", "uncertain", "fail"]


@dataclass(frozen=True)
class Timings:
    """Milliseconds per stage for one image; in a batch, `infer` is the batch's time divided by its images."""

    decode: float
    preprocess: float
    infer: float
    post: float

    @property
    def total(self) -> float:
        return self.decode + self.preprocess + self.infer + self.post


@dataclass(frozen=True, eq=False)
class Result:
    """One image, inspected. Score and map are the method's raw values, higher is more anomalous."""

    source: str | None  # the path, when the frame had one
    score: float
    anomaly_map: npt.NDArray[np.float32] = field(repr=False)  # (H, W) of the source image
    verdict: Verdict | None  # None: the recipe has no limits
    regions: tuple[Region, ...]  # where the map lies over map_limit, the highest peak first
    map_limit: float
    timings: Timings


def decide(score: float, limits: Limits | None) -> Verdict | None:
    """`pass` below the review limit, `fail` from the reject limit, `uncertain` between; None without limits."""
    if limits is None:
        return None
    if score >= limits.reject:
        return "fail"
    return "uncertain" if score >= limits.review else "pass"


def to_source_size(anomaly_map: npt.NDArray[np.float32], width: int, height: int) -> npt.NDArray[np.float32]:
    """The model's map (h, w) as float32 (height, width): bilinear, antialiased when shrinking, within its range."""
    if anomaly_map.shape == (height, width):
        return anomaly_map
    resized = Image.fromarray(anomaly_map).resize((width, height), Image.Resampling.BILINEAR)
    clipped: npt.NDArray[np.float32] = np.clip(np.asarray(resized), anomaly_map.min(), anomaly_map.max())
    return clipped
