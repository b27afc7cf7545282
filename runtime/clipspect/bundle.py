"""The bundle: a folder whose manifest, `bundle.json`, accounts for every other file by hash.

`Bundle.open` is the only way in. It verifies everything before it returns, so that no
engine ever sees a file that the exporter did not write.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from clipspect.document import MismatchError, build
from clipspect.errors import BundleError
from clipspect.onnx_file import external_locations
from clipspect.recipe import RECIPE_SUFFIX, Recipe, choose_recipe, is_recipe_name, read_recipe

MANIFEST = "bundle.json"
RECIPES = "recipes"
DEMO = "demo"  # the word that stands for the embedded bundle
SCHEMA_VERSION = 1
_DIGEST = "sha256"  # the manifest's own, over the rest of its document
_MAX_MANIFEST_BYTES = 1 << 24
_MAX_SIDE = 1 << 14  # pixels; a model larger than this is a damaged number
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HASH_BLOCK = 1 << 20


@dataclass(frozen=True)
class FileEntry:
    """What the exporter wrote: a file's digest and its length in bytes."""

    sha256: str
    size: int


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
class ImageSpec:
    """How a frame becomes the graph's `image`: RGB uint8 of this size."""

    height: int
    width: int
    resize: str = "squash"  # both sides to the model's size, the aspect ratio not kept
    interpolation: str = "bicubic"  # PIL's, antialiased when shrinking


@dataclass(frozen=True)
class TensorSpec:
    """A graph input or output; a dimension is a number, or a name when it is dynamic."""

    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Graph:
    """An ONNX file of the bundle and its tensors by name."""

    file: str
    opset: int
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    flops: int  # floating-point operations of the MatMuls for one image


@dataclass(frozen=True)
class TextSpec:
    """The convention of `text_features` (states, prompts, dim)."""

    dim: int
    states: tuple[str, ...] = ("normal", "anomalous")
    convention: str = "cosine; maximum over the prompts of a state"


@dataclass(frozen=True)
class Parity:
    """The written graph against the torch reference on the same images: largest absolute differences."""

    score: float
    anomaly_map: float
    tolerance: float
    images: int
    engine: str


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
    parameters: dict[str, Any] = field(default_factory=dict)  # of the method: scales, temperature, ...
    versions: dict[str, str] = field(default_factory=dict)  # of the packages that wrote the bundle
    files: dict[str, FileEntry] = field(default_factory=dict)  # by path relative to the bundle

    def to_json(self) -> str:
        """The text of `bundle.json`: the fields, and a digest over them that catches a changed byte."""
        document = dataclasses.asdict(self)
        return json.dumps({**document, _DIGEST: _digest(document)}, indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Bundle:
    """A verified bundle on disk."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Bundle:
        """Read and verify a bundle folder; the word "demo" opens the embedded one (write ./demo for a folder).

        Every file is hashed here, once. Raises BundleError with the one thing that is wrong.
        """
        root = _demo_bundle() if path == DEMO else Path(path)
        try:
            manifest = read_manifest(root)
            _check_accounts(root, manifest)
            for name, entry in manifest.files.items():
                _verify_file(root, name, entry)
            _check_weights(root, manifest)
        except OSError as error:
            raise BundleError(
                f"{root}: cannot be read ({error.strerror or error}): check the path and its rights"
            ) from error
        return cls(root, manifest)

    @property
    def graph_path(self) -> Path:
        return self.path / self.manifest.graph.file

    def recipe_names(self) -> list[str]:
        """Names of the recipes in the bundle, sorted."""
        names = [path.name[: -len(RECIPE_SUFFIX)] for path in (self.path / RECIPES).glob(f"*{RECIPE_SUFFIX}")]
        return sorted(name for name in names if is_recipe_name(name))

    def recipe(self, name: str | None = None) -> Recipe:
        """The recipe of that name; without a name, the only one. Raises RecipeError."""
        chosen = choose_recipe(self.recipe_names(), name, self.path)
        recipe = read_recipe(self.path / RECIPES / f"{chosen}{RECIPE_SUFFIX}")
        recipe.require(
            method=self.manifest.method,
            encoder_sha256=self.manifest.backbone.weights.encoder_sha256,
            dim=self.manifest.text.dim,
        )
        return recipe


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


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


def _demo_bundle() -> Path:
    try:
        from clipspect_models import DEMO_BUNDLE
    except ImportError as error:
        raise BundleError(
            "the embedded demo bundle is not in this installation: install clipspect again, from a wheel or a clone"
        ) from error
    return Path(DEMO_BUNDLE)


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
    image, graph = manifest.image, manifest.graph
    if not (1 <= image.height <= _MAX_SIDE and 1 <= image.width <= _MAX_SIDE):
        raise MismatchError(f"image: {image.height} x {image.width} pixels cannot be a model's size")
    if (image.resize, image.interpolation) != ("squash", "bicubic"):
        raise MismatchError(
            f"image: resize {image.resize!r} with {image.interpolation!r} is not known to this clipspect"
        )
    if manifest.precision not in {"fp32", "fp16"}:
        raise MismatchError(f"precision: {manifest.precision!r} is neither fp32 nor fp16")
    low, high = manifest.map_range
    if not low < high:
        raise MismatchError(f"map_range: {low} is not below {high}")
    for direction, tensors, names in (
        ("input", graph.inputs, ("image", "text_features")),
        ("output", graph.outputs, ("score", "anomaly_map")),
    ):
        for name in names:
            if name not in tensors:
                raise MismatchError(f"graph: has no {direction} {name!r}")
    if graph.inputs["image"].shape[1:] != (image.height, image.width, 3):
        raise MismatchError(f"graph: the image input is {graph.inputs['image'].shape}, the manifest says another size")


def _check_accounts(root: Path, manifest: Manifest) -> None:
    """Everything that an engine would read has its hash in the manifest."""
    graph = manifest.graph.file
    if graph not in manifest.files:
        raise BundleError(f"{root}: {MANIFEST} names the graph {graph!r} but not its hash: export the bundle again")
    if graph.startswith(f"{RECIPES}/"):
        raise BundleError(f"{root}: {MANIFEST} names a recipe as its graph: export the bundle again")


def _check_weights(root: Path, manifest: Manifest) -> None:
    """The graph, already verified, names no file for its weights that the manifest does not account for."""
    graph = PurePosixPath(manifest.graph.file)
    try:
        locations = external_locations((root / graph).read_bytes())
    except ValueError as error:
        raise BundleError(f"{root / graph}: not an ONNX model ({error}): export the bundle again") from error
    for location in sorted(locations):
        if str(graph.parent / location) not in manifest.files:
            raise BundleError(
                f"{root / graph}: reads its weights from {location!r:.200}, for which {MANIFEST} has no hash: "
                "export the bundle again"
            )


def _verify_file(root: Path, name: str, entry: FileEntry) -> None:
    pure = PurePosixPath(name)
    outside = not pure.parts or pure.is_absolute() or ".." in pure.parts or any(sign in name for sign in "\\:")
    if outside or not name.isprintable() or pure.as_posix() != name or name == MANIFEST:
        raise BundleError(f"{root}: {MANIFEST} names {name!r:.200}, which is no path inside the bundle: do not use it")
    if not _SHA256.fullmatch(entry.sha256):
        raise BundleError(f"{root}: {MANIFEST} holds no SHA-256 for {name!r}: export the bundle again")
    path = root / pure
    if path.is_symlink() or not path.resolve().is_relative_to(root.resolve()):
        raise BundleError(f"{path}: is a link, and a bundle holds its files itself: copy the bundle again")
    if not path.is_file():
        raise BundleError(f"{path}: the file is missing: copy or export the bundle again")
    if pure.parts[0] == RECIPES:
        return  # recipes are rewritten on the box and carry their own digest
    size = path.stat().st_size
    if size != entry.size:
        raise BundleError(
            f"{path}: {size} bytes, expected {entry.size}: the file was cut or changed; copy the bundle again"
        )
    if sha256_of(path) != entry.sha256:
        raise BundleError(f"{path}: the content does not match its hash: the file was changed; copy the bundle again")
