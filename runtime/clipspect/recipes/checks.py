"""Checks: whether a frame is one that the limits speak of, by what calibration saw; if not, the verdict is invalid.

docs/bundle-format.md specifies the quantities, the rule and the sentences, which the C++ runtime follows as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import RecipeError
from clipspect.frame.quality import Quality
from clipspect.frame.views import same_aspect
from clipspect.recipes.calibration import Calibration, Range
from clipspect.recipes.promise import percent
from clipspect.recipes.references import size_words

CHECK_RATE = 0.01  # of good parts that may be invalid, in the mean, over all checks together
LAYOUT, EMBEDDING = "layout", "embedding"  # checks of how far a frame is from the mean of calibration's
MOST_SHRUNK = 4  # times that a frame is shrunk without a word on tiles
_CONSTANT = 1.0  # grey levels of contrast: less is nothing to see
_BLACK, _WHITE = 16.0, 250.0  # grey levels: brightness within two standard deviations of which a frame has nothing else

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Check:
    """One quantity: the sides on which it is limited, and by how much at least a limit lies off the median.

    The least distance is for frames that are all alike, as of a still camera: a change that nobody sees is none.
    """

    below: bool
    above: bool
    levels: float  # in the quantity's unit
    share: float = 0.0  # and this share of the median


CHECKS: dict[str, Check] = {
    "brightness": Check(True, True, 2, 0.2),
    "contrast": Check(True, True, 2, 0.2),
    "saturation": Check(True, True, 2, 0.2),
    "clipped": Check(False, True, 0.02),
    "sharpness": Check(True, False, 0, 0.2),  # a defect may well add edges
    LAYOUT: Check(False, True, 10),
    EMBEDDING: Check(False, True, 0.15),  # a defect moves it, too: another scene moves it more
}


@dataclass(frozen=True, eq=False)
class SeenFrame:
    """What calibration keeps of a frame of a good part."""

    part: str
    name: str
    quality: Quality
    embedding: npt.NDArray[np.float32] | None  # (D,), of length 1; None: the bundle's graphs answer with none


@dataclass(frozen=True)
class FrameChecks:
    """What good frames are like: `Calibration` keeps these under the same names."""

    checks: dict[str, Range]  # none of fewer than two parts
    layout: tuple[float, ...]
    embedding: tuple[float, ...]  # empty where there is none


def checks_of(frames: Sequence[SeenFrame], rate: float = CHECK_RATE) -> FrameChecks:
    """The ranges of good frames, such that in the mean at most `rate` of good parts have a frame outside of any.

    Each check has an equal share of the rate, each of its sides half of that. A part counts once a side, by its frame
    that lies farthest out. The limit is the k-th most extreme part for the largest k whose mean, k / (parts + 1), keeps
    the share, whatever the distribution. Too few parts for k = 1 give the most extreme and a margin, by `margin`.
    Raises RecipeError for a frame that is black or white.
    """
    for frame in frames:
        if reason := blank_reason(frame.quality):
            raise RecipeError(f"{frame.name}: {reason}: this is no photograph of a good part, take it out")
    parts = np.unique([frame.part for frame in frames], return_inverse=True)[1]
    layouts = np.array([frame.quality.layout for frame in frames])
    embeddings = [frame.embedding for frame in frames if frame.embedding is not None]
    whole = np.array(embeddings, np.float64) if len(embeddings) == len(frames) else None
    unit_mean = () if whole is None else tuple((_unit(whole.sum(axis=0))).tolist())
    layout = tuple(layouts.mean(axis=0).tolist())
    if len(set(parts.tolist())) < 2:
        return FrameChecks({}, layout, unit_mean)
    values = {name: np.array([getattr(frame.quality, name) for frame in frames]) for name in _OWN}
    values[LAYOUT] = _apart(layouts, parts, lambda mean: mean, layout_distance)
    if whole is not None:
        values[EMBEDDING] = _apart(whole, parts, _unit, embedding_distance)
    share = rate / len(values)
    ranges = {name: _range(found, parts, CHECKS[name], share) for name, found in values.items()}
    return FrameChecks(ranges, layout, unit_mean)


def margin(parts: int, rate: float) -> float:
    """How far a limit lies beyond the most extreme of so many parts, as multiple of that one's distance from the middle
    (the largest but floor(parts / 2)): such that in the mean a new part is outside at the rate.

    It is exact where what lies outside of the middle falls off exponentially, and less than the rate is outside of what
    falls off faster, as normal distributions do: with j = floor(parts / 2), spacings of exponential order statistics
    are independent (Renyi, 1953), so that prod_{i=1..j} i / (i + 1 + margin) = rate (parts + 1) / (j + 1).
    """
    middle = parts // 2
    wanted = math.log(rate * (parts + 1) / (middle + 1))
    spacings = np.arange(1, middle + 1)

    def outside(beyond: float) -> float:
        return float(np.log(spacings / (spacings + 1 + beyond)).sum())

    low, high = 0.0, 1.0
    while outside(high) > wanted:
        high *= 2
    for _ in range(60):
        half = (low + high) / 2
        low, high = (half, high) if outside(half) > wanted else (low, half)
    return high


def invalid_reasons(
    quality: Quality, size: tuple[int, int], embedding: npt.NDArray[np.float32] | None, calibration: Calibration | None
) -> tuple[str, ...]:
    """Why a frame of that size (width, height) is none that the limits speak of, a sentence each; none: it is one.

    Without the ranges of a calibration only black and white frames, and those of one colour, are refused.
    """
    reason = blank_reason(quality)
    if not reason and (calibration is None or not calibration.checks):
        reason = one_colour_reason(quality)
    reasons = [reason] if reason else []
    if calibration is None:
        return tuple(reasons)
    if calibration.frame_sizes and not any(same_aspect(size, known) for known in calibration.frame_sizes):
        reasons.append(f"aspect: the frame is {size_words(size)}, good frames are {_sizes(calibration.frame_sizes)}")
    for name, limits in sorted(calibration.checks.items()):
        value = _value(name, quality, embedding, calibration)
        good = f"(good frames: {limits.smallest:.3g} to {limits.largest:.3g})"
        if limits.low is not None and not value >= limits.low:
            reasons.append(f"{name} {_compared(value, 'below', limits.low)} {good}")
        if limits.high is not None and not value <= limits.high:
            reasons.append(f"{name} {_compared(value, 'above', limits.high)} {good}")
    return tuple(reasons)


def _compared(value: float, where: str, limit: float) -> str:
    """With as many digits as tell them apart, three or six."""
    digits = 3 if f"{value:.3g}" != f"{limit:.3g}" else 6
    return f"{value:.{digits}g} is {where} {limit:.{digits}g}"


def quantities(
    quality: Quality, embedding: npt.NDArray[np.float32] | None, calibration: Calibration | None
) -> dict[str, float]:
    """What the checks are of, by their names, to six digits; distances only where there is a calibration to be from."""
    values = {name: _value(name, quality, embedding, calibration) for name in CHECKS}
    return {name: float(f"{value:.6g}") for name, value in values.items() if not math.isnan(value)}


def blank_reason(quality: Quality) -> str:
    """That a frame is black or white, whatever calibration saw; else empty."""
    brightness, contrast = quality.brightness, quality.contrast
    if brightness + 2 * contrast <= _BLACK:
        return f"the frame is black (brightness {brightness:.3g}, contrast {contrast:.3g})"
    if brightness - 2 * contrast >= _WHITE:
        return f"the frame is white (brightness {brightness:.3g}, contrast {contrast:.3g})"
    return ""


def one_colour_reason(quality: Quality) -> str:
    """That there is nothing to see on a frame, which a calibration may know as good; else empty."""
    if quality.contrast >= _CONSTANT:
        return ""
    return f"the frame is of one colour (brightness {quality.brightness:.3g}, contrast {quality.contrast:.3g})"


def rate_words(calibration: Calibration) -> str:
    """What is known of the share of good parts that its checks find invalid."""
    share = percent(sum(found.rate for found in calibration.checks.values()))
    parts = calibration.checked_parts or sum(not part.struck for part in calibration.parts)
    sides = [
        limits.rate / (2 if None not in (limits.low, limits.high) else 1) for limits in calibration.checks.values()
    ]
    needed = math.ceil(1 / min(sides) - 1e-9) - 1
    if parts >= needed:
        return f"in the mean at most {share} of good parts are invalid"
    return f"meant for {share} of good parts, by an estimate from {parts}: {needed} would prove it"


def size_note(size: tuple[int, int], known: Sequence[tuple[int, int]]) -> str:
    """What is to be said of a frame of another size than those known; empty where there is nothing."""
    if not known or size in known:
        return ""
    return f"frames of {size_words(size)}: calibration and references are {_sizes(known)}"


def shrunk_note(seen: tuple[int, int], model: tuple[int, int]) -> str:
    """What is to be said where a frame, or its region's box, is seen as a whole and much smaller; empty else."""
    times = max(seen[0] / model[0], seen[1] / model[1])
    if times <= MOST_SHRUNK:
        return ""
    return (
        f"{size_words(seen)} pixels are shrunk {times:.3g} times for the model, which loses small defects: clipspect "
        f"recipe and teach see frames in tiles with --tile {MOST_SHRUNK * model[0]}"
    )


def layout_distance(layout: Array, mean: Array) -> float:
    """The root mean square of the differences, in grey levels."""
    return float(np.sqrt(np.mean((layout - mean) ** 2)))


def embedding_distance(embedding: Array, mean: Array) -> float:
    """1 - the cosine of two rows of length 1."""
    return float(1 - embedding @ mean)


_OWN = ("brightness", "contrast", "saturation", "clipped", "sharpness")  # checks of a quantity of the frame alone


def _value(
    name: str, quality: Quality, embedding: npt.NDArray[np.float32] | None, calibration: Calibration | None
) -> float:
    """The frame's value of a check; NaN, which no range holds, where it has none."""
    if name in _OWN:
        return float(getattr(quality, name))
    if calibration is None:
        return math.nan
    if name == LAYOUT and calibration.layout:
        return layout_distance(np.array(quality.layout), calibration.mean_layout)
    if name == EMBEDDING and embedding is not None and len(embedding) == len(calibration.embedding):
        return embedding_distance(embedding.astype(np.float64), calibration.mean_embedding)
    return math.nan


def _apart(
    rows: Array,
    parts: npt.NDArray[np.int64],
    finish: Callable[[Array], Array],
    distance: Callable[[Array, Array], float],
) -> Array:
    """Each frame's distance from the mean of the other parts' frames."""
    total = rows.sum(axis=0)
    of_part = np.zeros((parts.max() + 1, rows.shape[1]))
    np.add.at(of_part, parts, rows)
    counts = np.bincount(parts)
    return np.array(
        [distance(row, finish((total - of_part[part]) / (len(rows) - counts[part]))) for row, part in zip(rows, parts)]
    )


def _unit(row: Array) -> Array:
    length = float(np.linalg.norm(row))
    return row / length if length > 0 else row


def _range(values: Array, parts: npt.NDArray[np.int64], check: Check, rate: float) -> Range:
    a_side = rate / 2 if check.below and check.above else rate
    median = float(np.median(values))
    least = check.levels + check.share * median
    low = high = None
    if check.below:  # in logarithms, which no margin takes below 0
        lowest = _farthest(-values, parts)
        low = min(math.exp(-_limit([-math.log1p(-value) for value in lowest], a_side)) - 1, median - least)
    if check.above:
        high = max(_limit(_farthest(values, parts).tolist(), a_side), median + least)
    return Range(low, high, rate, float(values.min()), float(values.max()))


def _farthest(values: Array, parts: npt.NDArray[np.int64]) -> Array:
    """The largest value of each part."""
    largest = np.full(parts.max() + 1, -np.inf)
    np.maximum.at(largest, parts, values)
    return largest


def _limit(values: Sequence[float], rate: float) -> float:
    """What a new one of such values exceeds at most at the rate, in the mean."""
    falling = sorted(values, reverse=True)
    rank = math.floor(rate * (len(falling) + 1))
    if rank >= 1:
        return falling[rank - 1]
    return falling[0] + margin(len(falling), rate) * (falling[0] - falling[len(falling) // 2])


def _sizes(sizes: Sequence[tuple[int, int]]) -> str:
    return ", ".join(map(size_words, sizes))
