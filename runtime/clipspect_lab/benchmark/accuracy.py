"""How well an engine, in its precision, tells good from defective: on the demo's pictures, by the demo's weights."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.bundle.bundle import DEMO, Bundle
from clipspect.inspection.inspector import Inspector
from clipspect_lab.demo.figures import picture_figures
from clipspect_lab.demo.inspected import inspect_pictures
from clipspect_lab.demo.pictures import read_demo_pictures


@dataclass(frozen=True)
class MeasuredAccuracy:
    """AUROC from 0 to 1, all pictures in one ranking: of the scores, and of the maps' pixels."""

    pictures: int
    image_auroc: float
    pixel_auroc: float


def has_accuracy(bundle: Bundle) -> bool:
    """Whether the shipped pictures can say: of the demo's own weights, which were trained on drawn surfaces."""
    weights = bundle.manifest.backbone.weights
    return weights.encoder_sha256 == Bundle.open(DEMO).manifest.backbone.weights.encoder_sha256


def measure_accuracy(inspector: Inspector) -> MeasuredAccuracy | None:
    """By inspecting every shipped picture; None where they are all good, or all defective."""
    inspected = inspect_pictures(inspector, *read_demo_pictures())
    scores, maps = [item.result.score for item in inspected], [item.result.anomaly_map for item in inspected]
    found = picture_figures(scores, maps, [item.mask for item in inspected])
    if found.image_auroc is None or found.pixel_auroc is None:
        return None
    return MeasuredAccuracy(len(inspected), found.image_auroc, found.pixel_auroc)
