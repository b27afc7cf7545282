"""The parity record: a written graph asked what the eager torch reference was asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from clipspect.backends import Backend, open_backend
from clipspect.errors import ExportError
from clipspect.manifest import ANOMALY_MAP, FEATURES, IMAGE, SCORE, Parity
from clipspect.recipe import REFERENCE

from clipspect_export.check import Check, Tensors

ENGINE = "onnxruntime"


def measure_parity(graph: Path, check: Check, tolerance: float) -> Parity:
    """Run the graph on all check images, one by one and as one batch. Raises ExportError beyond the tolerance.

    A few-shot graph first makes its galleries of the check's references, as a box does; the rows that it gives of
    the images must be the torch reference's, too.
    """
    images = check.given[IMAGE]
    differences: dict[str, list[float]] = {name: [] for name in check.expected}
    with open_backend(ENGINE, graph) as backend:
        given = {**check.given, **_galleries(backend, check)}
        for batch in (*(slice(at, at + 1) for at in range(len(images))), slice(None)):
            outputs = backend.run({**given, IMAGE: images[batch]})
            for name, expected in check.expected.items():
                differences[name].append(_largest_difference(name, outputs[name], expected[batch]))
    largest = {name: float(np.max(values)) for name, values in differences.items()}  # NaN stays NaN
    if not all(value <= tolerance for value in largest.values()):
        raise ExportError(
            f"{graph.name} in {ENGINE} differs from the torch reference by "
            f"{', '.join(f'{value:.2g} in {name}' for name, value in largest.items())}, the tolerance is "
            f"{tolerance:.2g}: no bundle was written; try another version of torch or {ENGINE}, and report this with "
            "both versions"
        )
    return Parity(largest[SCORE], largest[ANOMALY_MAP], tolerance, len(images), ENGINE)


def _galleries(backend: Backend, check: Check) -> Tensors:
    """Of the check's references, by the graph itself; until then its galleries are one row of zeros."""
    if check.references is None:
        return {}
    widths = {
        name.removeprefix(FEATURES): value.shape[-1]
        for name, value in check.expected.items()
        if name.startswith(FEATURES)
    }
    blank = {REFERENCE + name: np.zeros((1, width), np.float32) for name, width in widths.items()}
    outputs = backend.run({**check.given, **blank, IMAGE: check.references})
    return {REFERENCE + name: outputs[FEATURES + name].reshape(-1, width) for name, width in widths.items()}


def _largest_difference(name: str, found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    if found.shape != expected.shape:
        raise ExportError(f"the graph answered {name} of shape {found.shape}, the torch reference {expected.shape}")
    return float(np.abs(found.astype(np.float64) - expected).max())
