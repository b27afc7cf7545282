"""Could a difference between two evaluations of the same images be chance? A paired bootstrap over the images.

Each resample draws as many good and as many defective images as there are, with replacement, and the same ones for
both evaluations; the figures are made anew of what was drawn, the pixel figures of whole images' histograms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipspect_lab.evaluation.curves import Array, Curves, Figures, Levels, Totals
from clipspect_lab.evaluation.histograms import Histograms

RESAMPLES, SEED = 1000, 0
CONFIDENCE = 95  # per cent
METRICS = {  # key: the field of Figures, of the image's or the pixels'
    "image_auroc": ("image", "auroc"),
    "image_ap": ("image", "average_precision"),
    "image_f1_max": ("image", "f1_max"),
    "pixel_auroc": ("pixel", "auroc"),
    "pixel_ap": ("pixel", "average_precision"),
    "pixel_f1_max": ("pixel", "f1_max"),
    "pixel_aupro_exact": ("pixel", "aupro_exact"),
    "pixel_aupro_papers": ("pixel", "aupro_papers"),
}
_NONE = Figures(None, None, None)
_BLOCK = 1 << 22  # numbers that are drawn at a time


@dataclass(frozen=True, eq=False)
class Answers:
    """What one evaluation says of the images of a class, in their order."""

    images: tuple[str, ...]  # their paths in the data set
    files: Array  # int64 (N, 3): their bytes, width and height
    defective: Array  # bool (N,)
    scores: Array  # float (N,)
    pixels: Histograms | None  # None: no masks, or no maps


@dataclass(frozen=True, eq=False)
class ResampledDifferences:
    """The other's figures less the one's in every resample."""

    values: npt.NDArray[np.float64]  # (resamples, METRICS), NaN where there is no figure
    largest_error: float | None  # that bins of pixels make in any of them; None without pixels


def differences(
    one: Answers, other: Answers, name: str, *, resamples: int = RESAMPLES, seed: int = SEED
) -> ResampledDifferences:
    """`name` is the class's, and with `seed` says what is drawn: classes are drawn apart from each other."""
    values, largest = [], 0.0
    for counts in _draws(one.defective, name, resamples, seed):
        (mine, my_errors), (theirs, their_errors) = (_figures(side, counts) for side in (one, other))
        values.append(theirs - mine)
        largest = max(largest, np.nanmax(my_errors + their_errors, initial=0.0))
    with_pixels = one.pixels is not None or other.pixels is not None
    return ResampledDifferences(np.concatenate(values), float(largest) if with_pixels else None)


def intervals(differences: npt.NDArray[np.float64]) -> dict[str, tuple[float, float] | None]:
    """The middle `CONFIDENCE` per cent of each metric's differences; None where there is none."""
    outside = (100 - CONFIDENCE) / 2
    found: dict[str, tuple[float, float] | None] = {}
    for key, column in zip(METRICS, differences.T):
        known = column[~np.isnan(column)]
        low, high = np.percentile(known, (outside, 100 - outside)) if known.size else (0.0, 0.0)
        found[key] = (float(low), float(high)) if known.size else None
    return found


def mean_of_classes(classes: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Resample by resample, the mean over the classes that have the figure."""
    stacked = np.stack(classes)
    known = ~np.isnan(stacked)
    total, count = np.where(known, stacked, 0).sum(axis=0), known.sum(axis=0)
    mean: npt.NDArray[np.float64] = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean


def _draws(defective: Array, name: str, resamples: int, seed: int) -> Iterator[Array]:
    """Blocks of (R, N): how often each image is drawn; of the good and of the defective ones as many as there are."""
    salt = int.from_bytes(hashlib.sha256(name.encode(errors="surrogatepass")).digest()[:8], "big")
    rng = np.random.default_rng([seed, salt])
    step = max(1, _BLOCK // max(defective.size, 1))
    for start in range(0, resamples, step):
        counts = np.zeros((min(step, resamples - start), defective.size), np.int64)
        for side in (defective, ~defective):
            size = np.count_nonzero(side)
            if size:
                counts[:, side] = rng.multinomial(size, np.full(size, 1 / size), len(counts))
        yield counts


def _figures(answers: Answers, counts: Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The figures of every resample, and how far bins can make them be off: (R, METRICS) each."""
    none = [_NONE] * len(counts)
    curves = [] if answers.pixels is None else answers.pixels.resampled(counts)
    pixels, errors = [curve.figures() for curve in curves], [curve.largest_errors() for curve in curves]
    return _array(_image_figures(answers, counts), pixels or none), _array(none, errors or none)


def _array(images: Sequence[Figures], pixels: Sequence[Figures]) -> npt.NDArray[np.float64]:
    """By the columns of METRICS, NaN where there is no figure."""
    found = [
        [getattr(image if part == "image" else pixel, field) for part, field in METRICS.values()]
        for image, pixel in zip(images, pixels)
    ]
    return np.array([[np.nan if value is None else value for value in row] for row in found], dtype=np.float64)


def _image_figures(answers: Answers, counts: Array) -> list[Figures]:
    score, level = np.unique(answers.scores, return_inverse=True)
    found = []
    for row in counts:
        defects, goods = (
            np.bincount(level, row * side, minlength=score.size).astype(np.int64)[::-1]
            for side in (answers.defective, ~answers.defective)
        )
        curves = Curves(Totals(int(defects.sum()), int(goods.sum())))
        curves.add(Levels(score[::-1], defects, goods, np.zeros(score.size)))
        found.append(curves.figures())
    return found
