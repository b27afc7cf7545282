"""What a precision other than fp32 costs in one engine: how that is measured, what is allowed, and the record of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from clipspect.engines.graph import BF16, FP16, INT8

MOST_LOST = 0.5  # points of the demo model's image or pixel AUROC


@dataclass(frozen=True)
class Int8Copy:
    """Graphs for engines on the CPU, derived from those of the bundle, with the same inputs and outputs."""

    graphs: dict[str, str]  # by the file of the graph that it stands in for, the copy's
    scheme: str  # how values became whole numbers
    calibrated_on: str  # what fixed the ranges of the activations
    images: int  # of that


@dataclass(frozen=True)
class PrecisionRecord:
    """One precision in one engine, measured at export or on a box: the bundle's check images, the demo's pictures.

    Differences are from the torch reference, each graph's in its `parity.scale`, the largest of all graphs; the rank
    correlation is Spearman's over the pixels of a map, the lowest of all. What is lost is in points of AUROC against
    fp32; below 0 it was gained.
    """

    name: str  # "fp16", "bf16" or "int8"
    engine: str  # that computed it; "emulated" where onnxruntime computed in fp32 on values rounded to fp16
    passed: bool | None  # None: not measured, `detail` says why
    forced: bool = False  # exported although it did not pass
    detail: str = ""  # what did not pass, or why it was not measured
    tolerance: float | None = None  # of these differences, at export and for `clipspect verify`
    score: float | None = None
    anomaly_map: float | None = None
    rank_correlation: float | None = None
    image_auroc_lost: float | None = None
    pixel_auroc_lost: float | None = None

    @property
    def refused(self) -> bool:
        """Whether no engine computes in it without being forced."""
        return not (self.passed or self.forced)

    @property
    def words(self) -> str:
        """One line: what it costs, and whether it passed."""
        where = f"{self.name} in {self.engine}"
        if self.passed is None:
            return f"{where} was not measured ({self.detail})"
        verdict = "passed" if self.passed else f"{'forced' if self.forced else 'refused'}, {self.detail}"
        figures = [("score {:.1e}", self.score), ("map {:.1e}", self.anomaly_map)]
        figures += [("map ranks {:.4f}", self.rank_correlation), ("image AUROC lost {:.2f}", self.image_auroc_lost)]
        figures.append(("pixel AUROC lost {:.2f}", self.pixel_auroc_lost))
        found = ", ".join(text.format(value) for text, value in figures if value is not None)
        return f"{where}: {found or 'nothing measured'}; {verdict}"


@dataclass(frozen=True)
class PrecisionLimit:
    """Of a precision, on the check images."""

    difference: float  # the largest of a score, of a map's pixel and of an embedding
    rank_correlation: float  # the lowest


# What was seen, on demo, published and seeded weights: fp16 differs by up to 8e-4, bf16 by 2e-2, int8 by 2e-2. Ranks
# suffer where a map has no contrast: in bf16 they correlate by 0.95 for seeded weights, whose whole map spans 0.012,
# and by 0.99 for the demo model's. A map of noise correlates by 0.
LIMITS = {
    FP16: PrecisionLimit(5e-3, 0.99),
    BF16: PrecisionLimit(5e-2, 0.9),
    INT8: PrecisionLimit(5e-2, 0.9),
}


def judge_precision(
    name: str,
    engine: str,
    *,
    score: float,
    anomaly_map: float,
    embedding: float,
    rank_correlation: float | None,
    image_auroc_lost: float | None = None,
    pixel_auroc_lost: float | None = None,
) -> PrecisionRecord:
    """The record of what was measured, and whether it is within the limits; a number that is none does not pass.

    Differences are in each graph's `parity.scale`. That of the embedding is the distance of two points at length 1.
    """
    limit = LIMITS[name]
    most = limit.difference
    faults = [
        f"the {what} differs by {value:.2g}, at most {most:.3g} may be"
        for what, value in (("score", score), ("map", anomaly_map), ("image's embedding", embedding))
        if not value <= most
    ]
    if rank_correlation is not None and not rank_correlation >= limit.rank_correlation:
        faults.append(
            f"the map's ranks correlate by {rank_correlation:.3f}, at least {limit.rank_correlation:g} must be"
        )
    faults += [
        f"the demo model loses {value:.2f} points of {what} AUROC, at most {MOST_LOST:g} may be"
        for what, value in (("image", image_auroc_lost), ("pixel", pixel_auroc_lost))
        if value is not None and not value <= MOST_LOST
    ]
    return PrecisionRecord(
        name=name,
        engine=engine,
        passed=not faults,
        detail="; ".join(faults),
        tolerance=most,
        score=score if math.isfinite(score) else None,
        anomaly_map=anomaly_map if math.isfinite(anomaly_map) else None,
        rank_correlation=rank_correlation,
        image_auroc_lost=image_auroc_lost,
        pixel_auroc_lost=pixel_auroc_lost,
    )
