"""What a lot is judged by: the patches that a bundle's graph answers, read from every image and kept on disk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipspect.base.errors import AnswerError, BundleError, ImageError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.inspection_graph import InspectionGraph
from clipspect.engines.graph import BOTH, FEATURES, IMAGE_EMBEDDING, PHOTOS, TEXT_FEATURES
from clipspect.frame.decode import FrameLike
from clipspect.frame.prepare import Frame
from clipspect.frame.spec import ImageSpec
from clipspect.inspection.answer import Answer
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.result import Result
from clipspect.recipes.galleries import blank_references
from clipspect.recipes.recipe import Recipe
from clipspect_lab.lot.disk_array import DiskArray
from clipspect_lab.lot.mutual_scoring import Array

NAME = "lot"  # of the recipe that records name: it has neither words nor references


@dataclass(frozen=True)
class PatchGraph:
    """A graph that answers patches, and which of its outputs they are."""

    role: str
    graph: InspectionGraph
    outputs: tuple[str, ...]  # a layer each
    grid: tuple[int, int]  # rows and columns of patches
    width: int  # of a patch in every layer, the largest

    @property
    def extras(self) -> tuple[str, ...]:
        """Outputs that are asked for besides score and map."""
        return (*self.outputs, IMAGE_EMBEDDING)


def patch_graph(bundle: Bundle) -> PatchGraph:
    """The bundle's graph that answers patches, that for photographs alone if it has one. Raises BundleError.

    Of the outputs that are rows for galleries, those over the finest grid are patches; the others are windows.
    """
    graphs = bundle.manifest.graphs
    for role in (PHOTOS, BOTH):
        found = graphs.get(role)
        rows = {name: spec.shape for name, spec in found.outputs.items() if name.startswith(FEATURES)} if found else {}
        if found is None or not rows or IMAGE_EMBEDDING not in found.outputs:
            continue
        patches = max(int(shape[1]) for shape in rows.values())
        layers = {name: int(shape[2]) for name, shape in rows.items() if int(shape[1]) == patches}
        grid = grid_of(patches, bundle.manifest.image)
        return PatchGraph(role, found, tuple(layers), grid, max(layers.values()))
    raise BundleError(
        f"{bundle.path}: the bundle answers no patches, which a lot is judged by: export it again, with --few-shot"
    )


def grid_of(patches: int, image: ImageSpec) -> tuple[int, int]:
    """Rows and columns of square patches that fill the image. Raises BundleError."""
    rows = round(math.sqrt(patches * image.height / image.width))
    if rows < 1 or patches % rows:
        raise BundleError(f"{patches} patches do not fill an image of {image.height} x {image.width} pixels in rows")
    return rows, patches // rows


def blank_recipe(bundle: Bundle, found: PatchGraph) -> Recipe:
    """What the graph takes besides images, like nothing: its score and map are not read."""
    tensors = blank_references(found.graph)
    if TEXT_FEATURES in found.graph.inputs:
        tensors[TEXT_FEATURES] = np.zeros((2, 1, int(found.graph.inputs[TEXT_FEATURES].shape[-1])), np.float32)
    return Recipe(
        name=NAME,
        method=bundle.manifest.method,
        object=NAME,
        encoder_sha256=bundle.manifest.backbone.weights.encoder_sha256,
        tensors=tensors,
        parameters=bundle.manifest.parameters,
    )


class FeatureReader:
    """An inspector whose results say what was read, and whose patches go to disk: what a stream needs of one."""

    tiled = False

    def __init__(self, inspector: Inspector, found: PatchGraph, patches: DiskArray) -> None:
        """`patches` has room for (images, layers, L, W)."""
        self.workers = inspector.workers
        self.embeddings: list[Array] = []  # of the images that were read, (D,)
        self._inspector, self._found, self._patches = inspector, found, patches

    def prepare_alone(self, frame: FrameLike) -> Frame:
        return self._inspector.prepare_alone(frame)

    def answer(self, frames: Sequence[Frame]) -> list[Answer | AnswerError | ImageError]:
        return self._inspector.answer(frames)

    def finish(self, answer: Answer) -> Result:
        for layer, name in enumerate(self._found.outputs):
            rows = answer.extras[name][0]  # (L, W)
            room = np.zeros(self._patches.shape[2:], np.float32)
            room[:, : rows.shape[1]] = rows  # zeros change no product
            self._patches.write((len(self.embeddings), layer), room)
        self.embeddings.append(answer.extras[IMAGE_EMBEDDING][0])
        return self._inspector.finish(answer)
