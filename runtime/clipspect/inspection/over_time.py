"""Outcomes of frames that follow each other: scores and maps smoothed over time, verdicts that do not flicker.

Both are off unless they are asked for. Parts that are judged one by one need neither.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import ClipspectError
from clipspect.frame.motion import shift_of
from clipspect.frame.views import Box
from clipspect.inspection.judged import judged_regions
from clipspect.inspection.maps import Map
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.result import Result, Verdict, decide


@dataclass(frozen=True)
class Smoothing:
    """An exponential filter: what is shown is `weight` of the newest frame, and the rest of what was shown before."""

    weight: float = 0.3
    motion: bool = True  # what was shown before is moved as the picture has, which a belt moves as a whole

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ClipspectError(f"smoothing: weight {self.weight}: expected above 0 and up to 1, which is none")


@dataclass(frozen=True)
class Hysteresis:
    """What it takes for a verdict to change: so many frames in a row that say so, or a score clearly over the limit."""

    frames: int = 3
    margin: float | None = None  # of the score beyond a limit, from which one frame is enough; None: it never is

    def __post_init__(self) -> None:
        if isinstance(self.frames, bool) or self.frames < 1:
            raise ClipspectError(f"hysteresis: expected a number of frames from 1, found {self.frames!r}")
        if self.margin is not None and not self.margin >= 0:
            raise ClipspectError(f"hysteresis: margin {self.margin}: expected 0 or more")


def smoothed(outcomes: Iterable[Outcome], smoothing: Smoothing) -> Iterator[Outcome]:
    """Outcomes with the filtered score and map, and the regions and the verdict of these, without reasons.

    A frame that is invalid or could not be inspected stays as it is, and what comes after it is not mixed with it. What
    a place of the map showed in fewer frames than 1 / weight is the mean of these: a belt brings new places.
    With `motion` the outcomes must have their frames: `inspector.stream(items, keep_pictures=True)`. Raises
    ClipspectError where they have none, or frames are of several sizes.
    """
    known: dict[str, _Shown] = {}
    for outcome in outcomes:
        result, before = outcome.result, known.get(outcome.item.source)
        if result is None or result.verdict == "invalid":
            yield outcome
            continue
        picture = _picture(outcome) if smoothing.motion else None
        shown = _Shown(result.score, result.model_map, np.ones_like(result.model_map), picture)
        if before is not None:
            shown = _mixed(before, shown, smoothing.weight)
        known[outcome.item.source] = shown
        yield dataclasses.replace(outcome, result=_rejudged(result, shown))


def steady(outcomes: Iterable[Outcome], hysteresis: Hysteresis) -> Iterator[Outcome]:
    """Outcomes whose verdict changes as the hysteresis says; a frame that alone would say otherwise has a note.

    An outcome with an error has no verdict, and neither breaks a row nor counts in it.
    """
    known: dict[str, _Row] = {}
    for outcome in outcomes:
        result = outcome.result
        if result is None or result.verdict is None:
            yield outcome
            continue
        row = known.setdefault(outcome.item.source, _Row(result.verdict))
        row.add(result, hysteresis)
        if row.verdict == result.verdict:
            yield outcome
            continue
        note = f"this frame alone is judged {result.verdict}: a verdict changes after {hysteresis.frames} in a row"
        yield dataclasses.replace(
            outcome, result=dataclasses.replace(result, verdict=row.verdict, notes=(*result.notes, note))
        )


@dataclass
class _Row:
    """The verdict that is shown, and how often in a row frames say another."""

    verdict: Verdict
    other: Verdict | None = None
    count: int = 0

    def add(self, result: Result, hysteresis: Hysteresis) -> None:
        found = result.verdict
        self.count = self.count + 1 if found == self.other else 1
        self.other = found
        clear = _is_clear(result, self.verdict, hysteresis.margin)
        if found is not None and (clear or self.count >= hysteresis.frames):
            self.verdict = found


def _is_clear(result: Result, shown: Verdict, margin: float | None) -> bool:
    """Whether the score lies beyond every limit between both verdicts by the margin."""
    if margin is None or result.limits is None or "invalid" in (shown, result.verdict):
        return False
    scores = result.score - margin, result.score + margin
    return all(decide(score, result.limits) == result.verdict for score in scores)


@dataclass(frozen=True, eq=False)
class _Shown:
    """What the filter has come to."""

    score: float
    model_map: Map
    seen: Map = field(repr=False)  # in how many frames each place of the map was seen
    picture: npt.NDArray[np.uint8] | None = field(repr=False)  # in the model's size
    owed: tuple[float, float] = (0.0, 0.0)  # of the map's pixels, right and down, that it was moved too little so far


def _mixed(before: _Shown, newest: _Shown, weight: float) -> _Shown:
    if before.model_map.shape != newest.model_map.shape:
        raise ClipspectError(
            f"smoothing: a map of {newest.model_map.shape} after one of {before.model_map.shape}: frames need one size"
        )
    known, seen, owed = before.model_map, before.seen, before.owed
    if before.picture is not None and newest.picture is not None:
        shift = shift_of(before.picture, newest.picture)
        if shift is None:  # another scene: nothing of what was shown is in it
            return newest
        height, width = newest.picture.shape[:2]
        rows, columns = known.shape
        exact = owed[0] + shift[0] * columns / width, owed[1] + shift[1] * rows / height
        right, down = round(exact[0]), round(exact[1])
        owed = exact[0] - right, exact[1] - down
        known, seen = (_moved(values, right, down) for values in (known, seen))
    score = weight * newest.score + (1 - weight) * before.score
    seen = seen + 1
    newer = np.maximum(np.float32(weight), 1 / seen)  # the mean of all, as long as they are few
    model_map = newer * newest.model_map + (1 - newer) * known
    return _Shown(score, model_map, seen, newest.picture, owed)


def _moved(values: Map, right: int, down: int) -> Map:
    """A map, moved; where nothing of it comes to lie, 0."""
    rows, columns = values.shape
    moved: Map = np.zeros_like(values)
    if abs(right) < columns and abs(down) < rows:
        there = np.s_[max(down, 0) : rows + min(down, 0), max(right, 0) : columns + min(right, 0)]
        here = np.s_[max(-down, 0) : rows + min(-down, 0), max(-right, 0) : columns + min(-right, 0)]
        moved[there] = values[here]
    return moved


def _picture(outcome: Outcome) -> npt.NDArray[np.uint8]:
    if outcome.frame is None:
        raise ClipspectError("smoothing with motion needs the frames: stream(items, keep_pictures=True)")
    pixels: npt.NDArray[np.uint8] = outcome.frame.pixels[0]
    return pixels


def _rejudged(result: Result, shown: _Shown) -> Result:
    box = Box(0, 0, *result.size) if result.map_box is None else result.map_box
    regions = judged_regions(shown.model_map, box, result.area, result.map_limit)
    verdict = None if result.verdict is None else decide(shown.score, result.limits)
    return dataclasses.replace(
        result,
        score=shown.score,
        model_map=shown.model_map,
        regions=regions,
        verdict=verdict,
        explanation=None,  # it is of the regions of the single frame
    )
