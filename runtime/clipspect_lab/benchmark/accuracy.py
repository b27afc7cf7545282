"""How well an engine, in its precision, tells good from defective: on the demo's pictures, by the demo bundle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clipspect.bundle.bundle import DEMO, Bundle
from clipspect.inspection.inspector import Inspector
from clipspect_lab.demo.pictures import read_mask, read_samples
from clipspect_lab.evaluation.metrics import auroc


@dataclass(frozen=True)
class Accuracy:
    """AUROC from 0 to 1, all pictures in one ranking: of the scores, and of the maps' pixels."""

    pictures: int
    image_auroc: float
    pixel_auroc: float


def has_accuracy(bundle: Bundle) -> bool:
    """Whether the shipped pictures can say: of the demo's own weights, which were trained on drawn surfaces."""
    weights = bundle.manifest.backbone.weights
    return weights.encoder_sha256 == Bundle.open(DEMO).manifest.backbone.weights.encoder_sha256


def measure_accuracy(inspector: Inspector) -> Accuracy | None:
    """By inspecting every shipped picture; None where they are all good, or all defective."""
    folder, samples = read_samples()
    scores, masks, maps = [], [], []
    for sample in samples:
        frame = inspector.prepare(folder / sample.file)
        (result,) = inspector.score([frame])
        scores.append(result.score)
        masks.append(read_mask(folder, sample, frame.size).ravel())
        maps.append(result.anomaly_map.ravel())
    image = auroc([sample.mask is not None for sample in samples], scores)
    pixel = auroc(np.concatenate(masks), np.concatenate(maps))
    return None if image is None or pixel is None else Accuracy(len(samples), image, pixel)
