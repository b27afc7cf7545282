"""Check images and the torch reference's answers to them: for the parity record, and for `clipspect verify`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save

from clipspect.engines.graph import ANOMALY_MAP, IMAGE, SCORE, TEXT_FEATURES
from clipspect.inspection.verify import FEW_SHOT_PREFIX, IMAGES, REFERENCES
from clipspect.recipes.galleries import MAP_LIMITS
from clipspect_export.methods.model import Features, FewShotModel, Reference

CHECK_FILE = "check.safetensors"
CHECK_IMAGES, CHECK_REFERENCES = 2, 1
CHECK_SEED = 20230317

Images = npt.NDArray[np.uint8]
Tensors = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Check:
    """What a graph is given, and what the torch reference answers, by the names of the graph's tensors."""

    given: Tensors  # without galleries
    expected: Tensors
    references: Images | None = None  # what the few-shot graph makes its galleries of


def zero_shot_check(reference: Reference, size: int, text_features: Features) -> Check:
    """The reference asked about check images of `size` pixels."""
    images = check_images(size)
    score, anomaly_map = reference(torch.from_numpy(images), torch.from_numpy(text_features))
    expected = {SCORE: score.numpy(), ANOMALY_MAP: anomaly_map.numpy()}
    return Check({IMAGE: images, TEXT_FEATURES: text_features}, expected)


def few_shot_check(model: FewShotModel, zero_shot: Check, size: int) -> Check:
    """The same with a reference image; the map limits, where there are any, are the ends of the map's range."""
    text_features = zero_shot.given[TEXT_FEATURES]
    drawn = check_images(size, CHECK_IMAGES + CHECK_REFERENCES)
    images, references = zero_shot.given[IMAGE], drawn[CHECK_IMAGES:]
    given: Tensors = {TEXT_FEATURES: text_features}
    if model.takes_map_limits:
        given[MAP_LIMITS] = np.array(model.map_range, np.float32)
    words = {name: torch.from_numpy(value) for name, value in given.items()}
    score, anomaly_map, rows = model.reference(torch.from_numpy(images), torch.from_numpy(references), **words)
    words_alone = zero_shot.expected[SCORE], zero_shot.expected[ANOMALY_MAP]
    answers = [*(value.numpy() for value in (score, anomaly_map, *rows)), *words_alone]
    expected = dict(zip(model.outputs, answers))
    return Check({IMAGE: images, **given}, expected, references)


def write_check(path: Path, zero_shot: Check, few_shot: Check | None = None) -> None:
    """The check as one safetensors file without metadata: the same bytes for the same tensors.

    Galleries are not in it: the box makes them of `fewshot_references`, with the graph under test.
    """
    tensors = {IMAGES: zero_shot.given[IMAGE], TEXT_FEATURES: zero_shot.given[TEXT_FEATURES], **zero_shot.expected}
    if few_shot is not None and few_shot.references is not None:
        tensors |= {name: value for name, value in few_shot.given.items() if name not in {IMAGE, TEXT_FEATURES}}
        tensors |= {FEW_SHOT_PREFIX + name: few_shot.expected[name] for name in (SCORE, ANOMALY_MAP)}
        tensors[REFERENCES] = few_shot.references
    path.write_bytes(save({name: np.ascontiguousarray(value) for name, value in tensors.items()}))


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
