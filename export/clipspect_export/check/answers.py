"""Check images and the torch reference's answers to them: for the parity record, and for `clipspect verify`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save

from clipspect.bundle.windows_graph import WindowsGraph
from clipspect.engines import Backend
from clipspect.engines.graph import ANOMALY_MAP, IMAGE, IMAGE_EMBEDDING, SCORE, TEXT_FEATURES, WORDS
from clipspect.frame.spec import ImageSpec
from clipspect.inspection.check_images import IMAGES, PREFIXES, REFERENCES
from clipspect.inspection.windows import WindowsEngine
from clipspect_export.methods.model import Features, GraphForm

CHECK_FILE = "check.safetensors"
CHECK_IMAGES, CHECK_REFERENCES = 2, 1
CHECK_SEED = 20230317

Images = npt.NDArray[np.uint8]
Tensors = dict[str, npt.NDArray[Any]]


class Asked(Protocol):
    """What a check is put to."""

    def run(self, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str] | None = None) -> Tensors: ...


@dataclass(frozen=True, eq=False)
class Check:
    """What a graph is given, and what the torch reference answers, by the names of the graph's tensors."""

    given: Tensors  # without galleries
    expected: Tensors
    references: Images | None = None  # what the graph makes its galleries of
    scale: float = 1.0  # what differences of scores, maps and rows of any length are told in
    windows: WindowsGraph | None = None  # the graph under test is this one: the runtime makes the answers of its own
    image: ImageSpec | None = None

    def of_windows(self, graph: WindowsGraph, image: ImageSpec) -> Check:
        """The same check for the graph of windows on demand, which stands in for this one's."""
        return dataclasses.replace(self, windows=graph, image=image)

    def asked(self, backend: Backend) -> Asked:
        """What answers as the graph of the check does: the engine itself, or the runtime over its windows."""
        if self.windows is None or self.image is None:
            return backend
        return WindowsEngine(backend, self.windows, self.image)


def ask_reference(
    form: GraphForm, image: ImageSpec, text_features: Features | None, words: Check | None = None
) -> Check:
    """The reference asked about check images of the model's size and, where there are galleries, a reference image.

    `words` is the check of the graph of words, whose answers a graph with galleries that reads words repeats.
    """
    drawn = check_images(image.height, CHECK_IMAGES + CHECK_REFERENCES, image.width)
    images, references = drawn[:CHECK_IMAGES], drawn[CHECK_IMAGES:] if form.galleries else None
    fixed = form.fixed
    if form.remembered is not None:
        fixed = form.remembered(torch.from_numpy(images if references is None else references))
    named: Tensors = {name: value.numpy() for name, value in fixed.items()}
    if form.reads_words and text_features is not None:
        named[TEXT_FEATURES] = text_features
    photos = [images] if references is None else [images, references]
    score, anomaly_map, embedding, *rows = form.reference(
        *(torch.from_numpy(part) for part in photos),
        **{name: torch.tensor(value) for name, value in named.items()},
    )
    answers = [answer.numpy() for answer in (score, anomaly_map, embedding, *(rows[0] if rows else []))]
    if words is not None and form.reads_words:
        answers += [words.expected[SCORE], words.expected[ANOMALY_MAP]]
    expected = dict(zip(form.outputs, answers, strict=True))
    scale = float(expected[ANOMALY_MAP].mean()) if form.scale is None else form.scale
    return Check({IMAGE: images, **named}, expected, references, scale)


def write_check(path: Path, checks: Mapping[str, Check]) -> None:
    """The checks of the graphs by role as one safetensors file without metadata: the same bytes for the same tensors.

    What a graph answers and its references are named with the role's prefix. Galleries are not in it: the box makes
    them of the references, with the graph under test.
    """
    tensors: Tensors = {}
    for role, check in checks.items():
        prefix = PREFIXES[role]
        tensors |= {IMAGES if name == IMAGE else name: value for name, value in check.given.items()}
        tensors |= {prefix + name: check.expected[name] for name in (SCORE, ANOMALY_MAP, IMAGE_EMBEDDING)}
        if check.references is not None:
            tensors[prefix + REFERENCES] = check.references
    path.write_bytes(save({name: np.ascontiguousarray(value) for name, value in tensors.items()}))


def ask_references(
    forms: Mapping[str, GraphForm], image: ImageSpec, text_features: Features | None, folder: Path
) -> dict[str, Check]:
    """What the torch references answer to the check images, by role; written into the folder."""
    checks: dict[str, Check] = {}
    for role, form in forms.items():
        checks[role] = ask_reference(form, image, text_features, checks.get(WORDS))
    write_check(folder / CHECK_FILE, checks)
    return checks


def check_images(height: int, count: int = CHECK_IMAGES, width: int | None = None) -> Images:
    """Smooth coloured fields, one darker or lighter patch in each: uint8 RGB (count, H, W, 3); by default squares."""
    rng = np.random.default_rng(CHECK_SEED)
    width = width or height
    size = min(height, width)
    rows, columns = np.mgrid[0:height, 0:width] / size
    images = np.empty((count, height, width, 3))
    for image in images:
        for channel in range(3):
            across, down, shift = rng.uniform(-20, 20, 3)
            image[..., channel] = 128 + 60 * np.sin(across * columns + down * rows + shift)
        top, left = rng.integers(0, size // 2, 2)
        down, across = rng.integers(size // 20 + 1, size // 4 + 2, 2)
        image[top : top + down, left : left + across] += rng.choice([-60, 60], 3)
    return np.clip(images, 0, 255).astype(np.uint8)
