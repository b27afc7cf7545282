"""The parity record: a written graph asked what the eager torch reference was asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import ExportError
from clipspect.bundle.inspection_graph import Parity
from clipspect.engines import Backend, open_backend
from clipspect.engines.graph import ANOMALY_MAP, FEATURES, IMAGE, IMAGE_EMBEDDING, REFERENCE, SCORE
from clipspect.inspection.verify import embedding_difference, rank_correlation
from clipspect_export.check.answers import Asked, Check, Tensors
from clipspect_export.graph.write import ENGINE


@dataclass(frozen=True)
class Differences:
    """A graph in an engine against the torch reference on the check images."""

    largest: dict[str, float]  # absolute, by output, in the check's scale; NaN stays NaN
    rank_correlation: float | None  # Spearman's over the pixels of a map, the lowest of all; None: a map is constant
    images: int
    scale: float = 1.0  # the check's


def measure_parity(graph: Path, check: Check, tolerance: float) -> Parity:
    """Run the graph on all check images, one by one and as one batch. Raises ExportError beyond the tolerance.

    A few-shot graph first makes its galleries of the check's references, as a box does; the rows that it gives of
    the images must be the torch reference's, too.
    """
    with open_backend(ENGINE, graph) as backend:
        found = differences(backend, check)
    if not all(value <= tolerance for value in found.largest.values()):
        unit = "" if found.scale == 1 else f" of {found.scale:.2g}"
        raise ExportError(
            f"{graph.name} in {ENGINE} differs from the torch reference by "
            f"{', '.join(f'{value:.2g} in {name}' for name, value in found.largest.items())}, the tolerance is "
            f"{tolerance:.2g}{unit}: no bundle was written; try another version of torch or {ENGINE}, and report this "
            "with both versions"
        )
    return parity(found, tolerance, ENGINE)


def parity(found: Differences, tolerance: float, engine: str) -> Parity:
    """What a bundle says of its graph, in the units of its scores."""
    scale = found.scale
    score, anomaly_map = found.largest[SCORE] * scale, found.largest[ANOMALY_MAP] * scale
    return Parity(score, anomaly_map, tolerance * scale, found.images, engine, scale)


def differences(backend: Backend, check: Check) -> Differences:
    """Of all check images, one by one and as one batch. Raises BackendError."""
    images = check.given[IMAGE]
    largest: dict[str, list[float]] = {name: [] for name in check.expected}
    correlations: list[float | None] = []
    asked = check.asked(backend)
    given = {**check.given, **_galleries(asked, check)}
    for batch in (*(slice(at, at + 1) for at in range(len(images))), slice(None)):
        outputs = asked.run({**given, IMAGE: images[batch]}, list(check.expected))
        for name, expected in check.expected.items():
            of_length_1 = name == IMAGE_EMBEDDING or (name.startswith(FEATURES) and check.references is not None)
            scale = 1.0 if of_length_1 else check.scale
            largest[name].append(_largest_difference(name, outputs[name], expected[batch]) / scale)
        if ANOMALY_MAP in check.expected:
            correlations += map(rank_correlation, outputs[ANOMALY_MAP], check.expected[ANOMALY_MAP][batch])
    known = [value for value in correlations if value is not None]
    return Differences(
        {name: float(np.max(values)) for name, values in largest.items()},
        min(known, default=None) if len(known) == len(correlations) else None,
        len(images),
        check.scale,
    )


def _galleries(asked: Asked, check: Check) -> Tensors:
    """Of the check's references, by the graph itself; until then its galleries are one row of zeros."""
    if check.references is None:
        return {}
    widths = {
        name.removeprefix(FEATURES): value.shape[-1]
        for name, value in check.expected.items()
        if name.startswith(FEATURES)
    }
    blank = {REFERENCE + name: np.zeros((1, width), np.float32) for name, width in widths.items()}
    outputs = asked.run({**check.given, **blank, IMAGE: check.references}, [FEATURES + name for name in widths])
    return {REFERENCE + name: outputs[FEATURES + name].reshape(-1, width) for name, width in widths.items()}


def _largest_difference(name: str, found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    if found.shape != expected.shape:
        raise ExportError(f"the graph answered {name} of shape {found.shape}, the torch reference {expected.shape}")
    if name == IMAGE_EMBEDDING:
        return embedding_difference(found, expected)
    return float(np.abs(found.astype(np.float64) - expected).max())
