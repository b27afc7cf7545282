"""`bundle.json`, typed: what a bundle says of itself, read and checked before anything else is looked at."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipspect.base.document import MismatchError, build
from clipspect.base.errors import BundleError
from clipspect.base.files import FileEntry
from clipspect.bundle.precision_record import Int8Copy, PrecisionRecord
from clipspect.engines.graph import (
    ANOMALY_MAP,
    EMBEDDINGS,
    FEATURES,
    FP16,
    FP32,
    IMAGE,
    REFERENCE,
    SCORE,
    TEXT_FEATURES,
    TOKENS,
    Graph,
)
from clipspect.frame.spec import ImageSpec

MANIFEST = "bundle.json"
SCHEMA_VERSION = 1
_DIGEST = "sha256"  # the manifest's own, over the rest of its document
_MAX_MANIFEST_BYTES = 1 << 24
_MAX_SIDE = 1 << 14  # pixels; a model larger than this is a damaged number


@dataclass(frozen=True)
class Weights:
    """Where the encoder's weights came from. `encoder_sha256` names the values, whatever the file was."""

    source: str  # "tag" or "file"
    name: str  # the open_clip tag, or the file's name without its folder
    sha256: str | None  # of the weights file
    encoder_sha256: str


@dataclass(frozen=True)
class Backbone:
    """A CLIP architecture by its open_clip name, and the weights in it."""

    name: str
    activation: str  # "gelu" or "quick_gelu"
    weights: Weights


@dataclass(frozen=True)
class TextSpec:
    """The convention of `text_features` (states, prompts, dim), and how words become them."""

    dim: int
    states: tuple[str, ...] = ("normal", "anomalous")
    convention: str = "cosine; maximum over the prompts of a state"
    ensemble: str | None = None  # the method's own prompts by name; None where they were learned
    mean: str = "embeddings"  # what prompt fusion "mean" averages: "embeddings", or "unit embeddings" to a unit mean


@dataclass(frozen=True)
class Parity:
    """The written graph, an fp16 one emulated, against the torch reference on the same images: largest differences."""

    score: float
    anomaly_map: float
    tolerance: float
    images: int
    engine: str


@dataclass(frozen=True)
class FewShot:
    """The graph that also compares with references, and shares the zero-shot graph's weights.

    Besides `image` and `text_features` it takes galleries, `reference_*` (R, D*), whose rows have length 1; it answers
    besides `score` and `anomaly_map` with the image's own rows for each of them, `features_*` (N, rows, D*).
    """

    graph: Graph
    map_range: tuple[float, float]  # what overlays and the default limit of regions go by; a map can exceed it
    parity: Parity


@dataclass(frozen=True)
class TextEncoder:
    """What turns words into text features on the box: `tokens` int64 (B, T) to `embeddings` (B, D)."""

    graph: Graph
    tokenizer: str  # the file, for the tokenizers library
    context_length: int  # the most tokens of a prompt, start and end of text included
    parity: float  # largest absolute difference of the unit embeddings from torch's


@dataclass(frozen=True)
class Manifest:
    """`bundle.json`, typed."""

    schema_version: int
    method: str
    backbone: Backbone
    image: ImageSpec
    graph: Graph
    precision: str  # what the graph computes in: "fp32" or "fp16"
    storage: str  # what the weights are stored in: "fp32" or "fp16"
    text: TextSpec
    map_range: tuple[float, float]  # the range that the method's anomaly map can take
    parity: Parity
    few_shot: FewShot | None = None
    text_encoder: TextEncoder | None = None
    int8: Int8Copy | None = None
    precisions: tuple[PrecisionRecord, ...] = ()  # what others than fp32 were found to cost
    check: str | None = None  # check images and the reference's answers to them, for `clipspect verify`
    parameters: dict[str, Any] = field(default_factory=dict)  # of the method: scales, temperature, ...
    versions: dict[str, str] = field(default_factory=dict)  # of the packages that wrote the bundle
    files: dict[str, FileEntry] = field(default_factory=dict)  # by path relative to the bundle

    @property
    def graphs(self) -> list[Graph]:
        """All that engines read."""
        optional = [part.graph for part in (self.few_shot, self.text_encoder) if part is not None]
        own = {graph.file: graph for graph in (self.graph, *optional)}
        copies = self.int8.graphs if self.int8 is not None else {}
        return [*own.values(), *(dataclasses.replace(own[file], file=copy) for file, copy in copies.items())]

    def to_json(self) -> str:
        """The text of `bundle.json`: the fields, and a digest over them that catches a changed byte."""
        document = dataclasses.asdict(self)
        return json.dumps({**document, _DIGEST: _digest(document)}, indent=2, ensure_ascii=False) + "\n"


def read_manifest(root: Path) -> Manifest:
    """Parse and check `bundle.json` of a folder without looking at the other files. Raises BundleError."""
    document = _read_document(root)
    path = root / MANIFEST
    version = document.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BundleError(
            f"{path}: schema_version is {version!r:.80}, expected a number from 1: export the bundle again"
        )
    if version > SCHEMA_VERSION:
        raise BundleError(
            f"{path}: schema version {version} is newer than this clipspect reads ({SCHEMA_VERSION}): upgrade clipspect"
        )
    try:
        if document.pop(_DIGEST, None) != _digest(document):
            raise BundleError(
                f"{path}: the content does not match its digest, the file was changed: copy the bundle again"
            )
        manifest = build(Manifest, document, MANIFEST)
        _check_values(manifest)
    except (MismatchError, RecursionError) as error:
        raise BundleError(f"{path}: {error}: export the bundle again") from error
    return manifest


def _read_document(root: Path) -> dict[str, Any]:
    path = root / MANIFEST
    if not root.exists():
        raise BundleError(f"{root}: no such bundle folder; make one with: clipspect export METHOD --out {root}")
    if not root.is_dir():
        raise BundleError(f"{root}: is not a folder; a bundle is the folder that clipspect export writes")
    if not path.is_file() or path.is_symlink():
        raise BundleError(
            f"{root}: not a bundle, it has no {MANIFEST}; make one with: clipspect export METHOD --out FOLDER"
        )
    if path.stat().st_size > _MAX_MANIFEST_BYTES:
        raise BundleError(f"{path}: {path.stat().st_size} bytes is too large for a manifest: export the bundle again")
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not readable as JSON ({error}): copy or export the bundle again") from error
    if not isinstance(document, dict):
        raise BundleError(f"{path}: expected a JSON object, found {type(document).__name__}: export the bundle again")
    return document


def _digest(document: dict[str, Any]) -> str:
    """SHA-256 of a JSON document in canonical form: sorted keys, ASCII, no white space."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _check_values(manifest: Manifest) -> None:
    """What the types cannot say. Raises MismatchError."""
    image = manifest.image
    if not (1 <= image.height <= _MAX_SIDE and 1 <= image.width <= _MAX_SIDE):
        raise MismatchError(f"image: {image.height} x {image.width} pixels cannot be a model's size")
    if (image.resize, image.interpolation) != ("squash", "bicubic"):
        raise MismatchError(
            f"image: resize {image.resize!r} with {image.interpolation!r} is not known to this clipspect"
        )
    if manifest.precision not in {FP32, FP16}:
        raise MismatchError(f"precision: {manifest.precision!r} is neither fp32 nor fp16")
    low, high = manifest.map_range
    if not low < high:
        raise MismatchError(f"map_range: {low} is not below {high}")
    _check_graph("graph", manifest.graph, image)
    if manifest.few_shot is not None:
        graph = manifest.few_shot.graph
        _check_graph("few_shot graph", graph, image)
        galleries = {name.removeprefix(REFERENCE) for name in graph.inputs if name.startswith(REFERENCE)}
        if not galleries or not galleries <= {name.removeprefix(FEATURES) for name in graph.outputs}:
            raise MismatchError("few_shot graph: no features for each of its references")
    if manifest.int8 is not None:
        inspecting = {manifest.graph.file, *([manifest.few_shot.graph.file] if manifest.few_shot is not None else [])}
        if not set(manifest.int8.graphs) <= inspecting:
            raise MismatchError(f"int8: copies of {', '.join(manifest.int8.graphs)}, expected of graphs that inspect")
    if manifest.text_encoder is not None:
        graph = manifest.text_encoder.graph
        if set(graph.inputs) != {TOKENS} or set(graph.outputs) != {EMBEDDINGS}:
            raise MismatchError(f"text_encoder graph: expected {TOKENS} to {EMBEDDINGS}")


def _check_graph(where: str, graph: Graph, image: ImageSpec) -> None:
    for direction, tensors, names in (
        ("input", graph.inputs, (IMAGE, TEXT_FEATURES)),
        ("output", graph.outputs, (SCORE, ANOMALY_MAP)),
    ):
        for name in names:
            if name not in tensors:
                raise MismatchError(f"{where}: has no {direction} {name!r}")
    if graph.inputs[IMAGE].shape[1:] != (image.height, image.width, 3):
        raise MismatchError(f"{where}: the image input is {graph.inputs[IMAGE].shape}, the manifest says another size")
