"""What a precision other than fp32 may cost, and who is let through.

Two measurements are judged: how far the bundle's scores and maps on the check images move from the torch reference's,
and what the same step does to the demo model's accuracy, where masks are known.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from clipspect.base.errors import ExportError
from clipspect.bundle.precision_record import PrecisionRecord
from clipspect.engines.graph import ANOMALY_MAP, BF16, FP16, INT8, SCORE
from clipspect_export.check.parity import Differences
from clipspect_export.precision.demo_accuracy import Accuracy

MOST_LOST = 0.5  # points of the demo model's image or pixel AUROC


@dataclass(frozen=True)
class Limit:
    """On the check images."""

    difference: float  # the largest of a score and of a map's pixel; both are sums of probabilities
    rank_correlation: float  # the lowest


# What was seen, on demo, published and seeded weights: fp16 differs by up to 8e-4, bf16 by 2e-2, int8 by 2e-2. Ranks
# suffer where a map has no contrast: in bf16 they correlate by 0.95 for seeded weights, whose whole map spans 0.012,
# and by 0.99 for the demo model's. A map of noise correlates by 0.
LIMITS = {FP16: Limit(5e-3, 0.99), BF16: Limit(5e-2, 0.9), INT8: Limit(5e-2, 0.9)}
OPTIONAL = frozenset({BF16})  # nothing in the bundle is in it: a record that fails is for the runtime to heed


def judge(name: str, engine: str, found: Sequence[Differences], lost: Accuracy) -> PrecisionRecord:
    """The record of a precision by its differences, of each graph, and what the demo model lost.

    Raises ExportError where a graph answers no number, which cannot be forced.
    """
    limit = LIMITS[name]
    score, anomaly_map = (max(graph.largest[output] for graph in found) for output in (SCORE, ANOMALY_MAP))
    if not all(math.isfinite(value) for graph in found for value in graph.largest.values()):
        raise ExportError(
            f"precision {name} in {engine}: the graph answers NaN or infinity, its values leave the precision's range: "
            "no bundle was written; take fp32"
        )
    ranks = min((graph.rank_correlation for graph in found if graph.rank_correlation is not None), default=None)
    faults = [
        f"the {what} differs by {value:.2g}, at most {limit.difference:g} may be"
        for what, value in (("score", score), ("map", anomaly_map))
        if value > limit.difference
    ]
    if ranks is not None and ranks < limit.rank_correlation:
        faults.append(f"the map's ranks correlate by {ranks:.3f}, at least {limit.rank_correlation:g} must be")
    faults += [
        f"the demo model loses {value:.2f} points of {what} AUROC, at most {MOST_LOST:g} may be"
        for what, value in (("image", lost.image), ("pixel", lost.pixel))
        if value > MOST_LOST
    ]
    return PrecisionRecord(
        name=name,
        engine=engine,
        passed=not faults,
        detail="; ".join(faults),
        tolerance=limit.difference,
        score=score,
        anomaly_map=anomaly_map,
        rank_correlation=ranks,
        image_auroc_lost=lost.image,
        pixel_auroc_lost=lost.pixel,
    )


def require_passed(records: Sequence[PrecisionRecord], *, force: bool) -> tuple[PrecisionRecord, ...]:
    """The records; with `force` those that did not pass are marked so, without it one of them raises ExportError."""
    for record in records:
        if record.passed is False and not force and record.name not in OPTIONAL:
            remedy = " calibrate it with --calibration PHOTOS of your parts, or" if record.name == INT8 else ""
            raise ExportError(
                f"precision {record.name} in {record.engine} does not pass: {record.detail}: no bundle was written;"
                f"{remedy} take fp32, or keep it with --force-precision"
            )
    return tuple(dataclasses.replace(record, forced=force and record.passed is False) for record in records)
