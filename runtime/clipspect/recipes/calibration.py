"""Calibration: what a recipe's limits were made of, as its file keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import RecipeError
from clipspect.frame.quality import LAYOUT_LENGTH


@dataclass(frozen=True)
class PartScore:
    """One part: its highest score and the highest value of its anomaly maps, over all of its frames; of a defective
    part over those that are valid, where any is.
    """

    name: str  # of the group, or of the file
    score: float
    map_maximum: float
    frames: int = 1
    struck: bool = False  # taken out by a person, who found that it is not good
    worst_frame: str = ""  # that has the highest score: its path as it was given
    invalid: bool = False  # a defective part all of whose frames are invalid: no limit judges its score
    contents: tuple[str, ...] = ()  # of its frames: the first digits of the digests of what they show


@dataclass(frozen=True)
class Scorer:
    """What computed the scores. Limits speak of the scores of this one alone."""

    bundle: str  # digest
    tensors: str  # SHA-256 of the recipe's tensors: unlike the recipe's digest it does not change with its limits
    backend: str
    device: str
    precision: str
    version: str  # of clipspect
    region: str | None = None  # digest of the recipe's region of interest; None: all of a frame was judged


@dataclass(frozen=True)
class Range:
    """What good frames show of one quantity, from `low` to `high`; None: it is not limited on that side."""

    low: float | None
    high: float | None
    rate: float  # of good parts that may lie outside, in the mean
    smallest: float  # of the calibration's frames
    largest: float

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise RecipeError(f"calibration: a range from {self.low} to {self.high} is reversed: calibrate again")


@dataclass(frozen=True)
class LimitsChange:
    """One change of a recipe's limits: when, who, from, to, why."""

    time: str  # ISO 8601, UTC
    who: str
    why: str
    old: dict[str, float | None] | None  # review, reject, map; None: there were none
    new: dict[str, float | None] | None
    before: str = ""  # digest of the recipe until then; empty in recipes of old


@dataclass(frozen=True)
class Calibration:
    """What limits were made of."""

    time: str  # ISO 8601, UTC
    scorer: Scorer
    parts: tuple[PartScore, ...]  # good ones, in the order that they were given in
    group: str | None = None  # the pattern by which frames became parts
    by_hand: bool = False  # the limits are others, given by hand since: what frames must be like still holds
    estimate: bool = False  # the parts are the references themselves, each scored without its own rows
    checks: dict[str, Range] = field(default_factory=dict)  # of what frames must be like; else they are invalid
    layout: tuple[float, ...] = ()  # mean of the frames' layouts; checks["layout"] is of the distance from it
    embedding: tuple[float, ...] = ()  # unit mean of the whole images' embeddings; checks["embedding"] is of 1 - cosine
    frame_sizes: tuple[tuple[int, int], ...] = ()  # width, height of the frames, each once
    checked_parts: int = 0  # good parts that checks, layout, embedding and sizes were made of; 0: those that count
    defects: tuple[PartScore, ...] = ()  # defective parts that were scored beside, where there were some
    answered: tuple[PartScore, ...] = ()  # good by a person's answer, which chose them: they raise limits, no more

    def __post_init__(self) -> None:
        if len(self.layout) != LAYOUT_LENGTH and (self.layout or "layout" in self.checks):
            raise RecipeError(
                f"calibration: layout has {len(self.layout)} numbers, expected {LAYOUT_LENGTH}: calibrate again"
            )
        if any(side < 1 for size in self.frame_sizes for side in size):
            raise RecipeError("calibration: frame_sizes holds a size that no frame has: calibrate again")

    @cached_property
    def mean_layout(self) -> npt.NDArray[np.float64]:
        """`layout` as an array, for every frame."""
        return np.array(self.layout)

    @cached_property
    def mean_embedding(self) -> npt.NDArray[np.float64]:
        """`embedding` as an array, for every frame."""
        return np.array(self.embedding)
