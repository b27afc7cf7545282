"""A graph that inspects, as the manifest describes it, and the tensors that each role must have."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.base.document import MismatchError
from clipspect.engines.graph import (
    ANOMALY_MAP,
    BOTH,
    COMPONENTS,
    FEATURES,
    IMAGE,
    IMAGE_EMBEDDING,
    MEAN,
    PHOTOS,
    REFERENCE,
    SCORE,
    SPREAD,
    TEXT_FEATURES,
    Graph,
    TensorSpec,
)
from clipspect.frame.spec import ImageSpec

Shape = tuple[int | None, ...]  # None: a length that varies


@dataclass(frozen=True)
class Parity:
    """The written graph, an fp16 one emulated, against the torch reference on the same images: largest differences."""

    score: float
    anomaly_map: float
    tolerance: float
    images: int
    engine: str
    scale: float = 1.0  # what records of precisions tell its scores' and maps' differences in


@dataclass(frozen=True)
class InspectionGraph(Graph):
    """A graph that inspects. All of a bundle share one file of weights.

    Each takes `image` and answers `score`, `anomaly_map` and `image_embedding`. That of `words` takes `text_features`,
    too. That of `both` compares with references besides: it takes galleries, `reference_*` (R, D*), whose rows have
    length 1, and answers with the image's own rows for each, `features_*` (N, rows, D*). That of `photos` reads no
    words. It takes galleries and, where it joins several, what each one's distances are divided by, `spread`; or, of
    one kind of `features_*` whose rows have any length, their `mean` (D,) and `components` (r, D).
    """

    map_range: tuple[float, float]  # of overlays and the default limit of regions; with references maps can exceed it
    parity: Parity

    @property
    def galleries(self) -> tuple[str, ...]:
        """The names of the galleries that it takes, without `reference_`."""
        return tuple(name.removeprefix(REFERENCE) for name in self.inputs if name.startswith(REFERENCE))

    @property
    def features(self) -> dict[str, tuple[int, int]]:
        """Of each kind of the image's own rows, by its name without `features_`: how many there are, their width."""
        shapes = {
            name.removeprefix(FEATURES): spec.shape for name, spec in self.outputs.items() if name.startswith(FEATURES)
        }
        return {name: (int(shape[1]), int(shape[2])) for name, shape in shapes.items()}


def require_tensors(role: str, graph: InspectionGraph, image: ImageSpec, text_dim: int | None) -> None:
    """Refuse a graph that has not the tensors of its role; `text_dim` is the width of text features.

    Raises MismatchError.
    """
    where = f"graphs: {role}"
    low, high = graph.map_range
    if not low < high:
        raise MismatchError(f"{where}: map_range: {low} is not below {high}")
    _require(f"{where}: has no input", graph.inputs, IMAGE, "uint8", (None, image.height, image.width, 3))
    _require(f"{where}: has no output", graph.outputs, SCORE, "float32", (None,))
    _require(f"{where}: has no output", graph.outputs, ANOMALY_MAP, "float32", (None, image.height, image.width))
    if IMAGE_EMBEDDING in graph.outputs:  # older bundles have none
        width = text_dim if role != PHOTOS else graph.outputs[IMAGE_EMBEDDING].shape[-1]
        dim = width if isinstance(width, int) else -1
        _require(f"{where}: has no output", graph.outputs, IMAGE_EMBEDDING, "float32", (None, dim))
    if role != PHOTOS:
        if text_dim is None:
            raise MismatchError(f"{where}: reads words, and the manifest says nothing of text")
        _require(f"{where}: has no input", graph.inputs, TEXT_FEATURES, "float32", (2, None, text_dim))
    elif TEXT_FEATURES in graph.inputs:
        raise MismatchError(f"{where}: takes {TEXT_FEATURES}, which is not for photographs alone")
    if role == BOTH or (role == PHOTOS and MEAN not in graph.inputs):
        _require_galleries(where, graph)
    elif role == PHOTOS:
        _require_subspace(where, graph)


def _require_galleries(where: str, graph: InspectionGraph) -> None:
    if not graph.galleries:
        raise MismatchError(f"{where}: takes no references")
    for name in graph.galleries:
        if FEATURES + name not in graph.outputs:
            raise MismatchError(f"{where}: no features for each of its references")
        width = _width(where, FEATURES + name, graph)
        _require(f"{where}: has no input", graph.inputs, REFERENCE + name, "float32", (None, width))
    if SPREAD in graph.inputs:
        _require(f"{where}: has no input", graph.inputs, SPREAD, "float32", (len(graph.galleries),))


def _require_subspace(where: str, graph: InspectionGraph) -> None:
    kinds = [name for name in graph.outputs if name.startswith(FEATURES)]
    if len(kinds) != 1 or graph.galleries:
        raise MismatchError(f"{where}: takes a {MEAN}, expected features of one kind and no references")
    width = _width(where, kinds[0], graph)
    _require(f"{where}: has no input", graph.inputs, MEAN, "float32", (width,))
    shape = graph.inputs[COMPONENTS].shape if COMPONENTS in graph.inputs else ()
    count = shape[0] if shape and isinstance(shape[0], int) else -1
    _require(f"{where}: has no input", graph.inputs, COMPONENTS, "float32", (count, width))


def _width(where: str, name: str, graph: InspectionGraph) -> int:
    """Of the image's own rows, of which there are always as many."""
    shape = graph.outputs[name].shape
    if len(shape) != 3 or not isinstance(shape[1], int) or not isinstance(shape[2], int):
        raise MismatchError(f"{where}: {name} is {shape}, expected (N, rows, width) with fixed rows and width")
    return shape[2]


def _require(missing: str, tensors: dict[str, TensorSpec], name: str, dtype: str, shape: Shape) -> None:
    """The tensor is there, in this type and shape; in the place of None is a name."""
    if name not in tensors:
        raise MismatchError(f"{missing} {name!r}")
    found = tensors[name]
    sides = tuple(None if isinstance(side, str) else side for side in found.shape)
    if (found.dtype, sides) != (dtype, shape):
        where = missing.rpartition(":")[0]
        free = "(" + ", ".join("any" if side is None else str(side) for side in shape) + ")"
        raise MismatchError(f"{where}: {name} is {found.dtype} {found.shape}, expected {dtype} {free}")
