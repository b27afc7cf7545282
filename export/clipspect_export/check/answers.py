"""Check images and the torch reference's answers to them: for the parity record, and for `clipspect verify`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save

from clipspect.engines.graph import ANOMALY_MAP, BOTH, IMAGE, IMAGE_EMBEDDING, SCORE, TEXT_FEATURES, WORDS
from clipspect.inspection.verify import IMAGES, PREFIXES, REFERENCES
from clipspect.recipes.galleries import MAP_LIMITS
from clipspect_export.methods.model import Features, GraphForm

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
    references: Images | None = None  # what the graph makes its galleries of


def ask_reference(form: GraphForm, size: int, text_features: Features, words: Check | None = None) -> Check:
    """The reference asked about check images of `size` pixels and, where there are galleries, a reference image.

    The map limits, where there are any, are the ends of the map's range. `words` is the check of the graph of words,
    whose answers a graph with galleries repeats.
    """
    drawn = check_images(size, CHECK_IMAGES + CHECK_REFERENCES)
    images, references = drawn[:CHECK_IMAGES], drawn[CHECK_IMAGES:] if form.galleries else None
    limits: Tensors = {MAP_LIMITS: np.array(form.map_range, np.float32)} if form.takes_map_limits else {}
    named = {TEXT_FEATURES: text_features, **limits}
    photos = [images] if references is None else [images, references]
    score, anomaly_map, embedding, *rows = form.reference(
        *(torch.from_numpy(part) for part in photos),
        **{name: torch.tensor(value) for name, value in named.items()},
    )
    answers = [answer.numpy() for answer in (score, anomaly_map, embedding, *(rows[0] if rows else []))]
    answers += [words.expected[SCORE], words.expected[ANOMALY_MAP]] if words is not None else []
    expected = dict(zip(form.outputs, answers))
    return Check({IMAGE: images, **named}, expected, references)


def write_check(path: Path, words: Check, both: Check | None = None) -> None:
    """The checks of the graphs by role as one safetensors file without metadata: the same bytes for the same tensors.

    Galleries are not in it: the box makes them of `fewshot_references`, with the graph under test.
    """
    tensors = {IMAGES: words.given[IMAGE], TEXT_FEATURES: words.given[TEXT_FEATURES], **words.expected}
    if both is not None and both.references is not None:
        tensors |= {name: value for name, value in both.given.items() if name not in {IMAGE, TEXT_FEATURES}}
        tensors |= {PREFIXES[BOTH] + name: both.expected[name] for name in (SCORE, ANOMALY_MAP, IMAGE_EMBEDDING)}
        tensors[PREFIXES[BOTH] + REFERENCES] = both.references
    path.write_bytes(save({name: np.ascontiguousarray(value) for name, value in tensors.items()}))


def ask_references(
    forms: Mapping[str, GraphForm], size: int, text_features: Features, folder: Path
) -> dict[str, Check]:
    """What the torch references answer to the check images, by role; written into the folder."""
    checks: dict[str, Check] = {}
    for role, form in forms.items():
        checks[role] = ask_reference(form, size, text_features, checks.get(WORDS))
    write_check(folder / CHECK_FILE, *checks.values())
    return checks


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
