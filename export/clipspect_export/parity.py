"""The parity record: the eager torch reference and the written graph on the same images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from clipspect.backends import open_backend
from clipspect.errors import ExportError
from clipspect.manifest import Parity

ENGINE = "onnxruntime"
CHECK_IMAGES = 3
CHECK_SEED = 20230317

Images = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]
Reference = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def check_images(size: int, count: int = CHECK_IMAGES) -> Images:
    """Smooth coloured fields, one darker or lighter patch in each: uint8 RGB (count, size, size, 3)."""
    rng = np.random.default_rng(CHECK_SEED)
    rows, columns = np.mgrid[0:size, 0:size] / size
    images = np.empty((count, size, size, 3))
    for image in images:
        for channel in range(3):
            across, down, shift = rng.uniform(-20, 20, 3)
            image[..., channel] = 128 + 60 * np.sin(across * columns + down * rows + shift)
        top, left = rng.integers(0, size // 2, 2)
        height, width = rng.integers(size // 20 + 1, size // 4 + 2, 2)
        image[top : top + height, left : left + width] += rng.choice([-60, 60], 3)
    return np.clip(images, 0, 255).astype(np.uint8)


def measure_parity(graph: Path, reference: Reference, size: int, text_features: Features, tolerance: float) -> Parity:
    """Run both on all check images, the graph one by one and as one batch. Raises ExportError beyond the tolerance."""
    images = check_images(size)
    expected = reference(torch.from_numpy(images), torch.from_numpy(text_features))
    score, anomaly_map = (value.numpy() for value in expected)
    score_differences, map_differences = [], []
    with open_backend(ENGINE, graph) as backend:
        for batch in (*(slice(at, at + 1) for at in range(len(images))), slice(None)):
            outputs = backend.run({"image": images[batch], "text_features": text_features})
            score_differences.append(_largest_difference(outputs["score"], score[batch]))
            map_differences.append(_largest_difference(outputs["anomaly_map"], anomaly_map[batch]))
    largest_score, largest_map = float(np.max(score_differences)), float(np.max(map_differences))  # NaN stays NaN
    if not (largest_score <= tolerance and largest_map <= tolerance):
        raise ExportError(
            f"the graph in {ENGINE} differs from the torch reference by {largest_score:.2g} in the score and "
            f"{largest_map:.2g} in the map, the tolerance is {tolerance:.2g}: no bundle was written; try another "
            f"version of torch or {ENGINE}, and report this with both versions"
        )
    return Parity(largest_score, largest_map, tolerance, len(images), ENGINE)


def _largest_difference(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    if found.shape != expected.shape:
        raise ExportError(f"the graph answered the shape {found.shape}, the torch reference {expected.shape}")
    return float(np.abs(found.astype(np.float64) - expected).max())
