"""What a precision other than fp32 may cost, and who is let through.

Two measurements are judged: how far the bundle's scores and maps on the check images move from the torch reference's,
and what the same step does to the demo model's accuracy, where masks are known. What could not be measured because
something broke does not pass.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from clipspect.base.errors import ClipspectError, ExportError
from clipspect.bundle.precision_record import PrecisionRecord, judge_precision
from clipspect.engines.graph import ANOMALY_MAP, BF16, IMAGE_EMBEDDING, INT8, SCORE
from clipspect_export.check.parity import Differences
from clipspect_export.precision.demo_model import AccuracyPoints

OPTIONAL = frozenset({BF16})  # nothing in the bundle is in it: a record that fails is for the runtime to heed


def judge(name: str, engine: str, found: Sequence[Differences], lost: AccuracyPoints) -> PrecisionRecord:
    """The record of a precision by its differences, of each graph, and what the demo model lost.

    Raises ExportError where a graph answers no number, which cannot be forced.
    """
    if not all(math.isfinite(value) for graph in found for value in graph.largest.values()):
        raise ExportError(
            f"precision {name} in {engine}: the graph answers NaN or infinity, its values leave the precision's range: "
            "no bundle was written; take fp32"
        )
    return judge_precision(
        name,
        engine,
        score=max(graph.largest[SCORE] for graph in found),
        anomaly_map=max(graph.largest[ANOMALY_MAP] for graph in found),
        embedding=max(graph.largest.get(IMAGE_EMBEDDING, 0) for graph in found),
        rank_correlation=min(
            (graph.rank_correlation for graph in found if graph.rank_correlation is not None), default=None
        ),
        image_auroc_lost=lost.image,
        pixel_auroc_lost=lost.pixel,
    )


def broken(name: str, engine: str, error: ClipspectError) -> PrecisionRecord:
    """The record of a precision that an engine should compute in and cannot."""
    return PrecisionRecord(name, engine, passed=False, detail=f"it could not be measured: {error}")


def require_passed(records: Sequence[PrecisionRecord], *, force: bool) -> tuple[PrecisionRecord, ...]:
    """The records. One that did not pass raises ExportError; with `force` it is marked as forced if it was measured.

    An engine that could not even be measured stays refused on the box.
    """
    for record in records:
        if record.passed is False and not force and record.name not in OPTIONAL:
            remedy = " calibrate it with --calibration PHOTOS of your parts, or" if record.name == INT8 else ""
            raise ExportError(
                f"precision {record.name} in {record.engine} does not pass: {record.detail}: no bundle was written;"
                f"{remedy} take fp32, or keep it with --force-precision"
            )
    return tuple(
        dataclasses.replace(record, forced=force and record.passed is False and record.score is not None)
        for record in records
    )
