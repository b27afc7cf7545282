"""`bundle.json`, typed: what a bundle says of itself, read and checked before anything else is looked at."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipspect.base.document import MismatchError, build, parse_json
from clipspect.base.errors import BundleError
from clipspect.base.files import FileEntry, sha256_of
from clipspect.bundle.inspection_graph import InspectionGraph, require_tensors
from clipspect.bundle.precision_record import Int8Copy, PrecisionRecord
from clipspect.bundle.signature import PublicKey, drop_signature
from clipspect.bundle.windows_graph import WindowsGraph, require_windows
from clipspect.engines.graph import BOTH, EMBEDDINGS, FP16, FP32, PHOTOS, TOKENS, WINDOWS, WORDS, Graph
from clipspect.frame.spec import ImageSpec

MANIFEST, MANIFEST_DIGEST, MANIFEST_SIGNATURE = "bundle.json", "bundle.json.sha256", "bundle.json.sig"
RECIPES = "recipes"  # the folder of files that prove themselves, and change on the box
PRECISIONS = "precisions"  # the folder of what was measured on the box
SCHEMA_VERSION = 2
ROLES = (WORDS, BOTH, PHOTOS)
ONNX_SUFFIX = ".onnx"
_MAX_MANIFEST_BYTES = 1 << 24
_MAX_SIDE = 1 << 14  # pixels; a model larger than this is a damaged number


@dataclass(frozen=True)
class Weights:
    """Where the encoder's weights came from. `encoder_sha256` names the values, whatever the file was."""

    source: str  # "tag" or "file"
    name: str  # the tag, or the file's name without its folder
    sha256: str | None  # of the weights file
    encoder_sha256: str


@dataclass(frozen=True)
class Backbone:
    """An architecture by its open_clip or timm name, and the weights in it."""

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
class TextEncoderSpec:
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
    graphs: dict[str, InspectionGraph]  # by role, of the roles in ROLES
    precision: str  # what the graphs compute in: "fp32" or "fp16"
    storage: str  # what their weights are stored in: "fp32" or "fp16"
    text: TextSpec | None = None  # None: no graph reads words
    text_encoder: TextEncoderSpec | None = None
    int8: Int8Copy | None = None
    precisions: tuple[PrecisionRecord, ...] = ()  # what others than fp32 were found to cost
    check: str | None = None  # check images and the reference's answers to them, for `clipspect verify`
    parameters: dict[str, Any] = field(default_factory=dict)  # of the method: scales, temperature, ...
    versions: dict[str, str] = field(default_factory=dict)  # of the packages that wrote the bundle
    files: dict[str, FileEntry] = field(default_factory=dict)  # by path relative to the bundle
    windows: WindowsGraph | None = None  # in the document one of the graphs: it judges by itself for no recipe
    other_graphs: dict[str, str] = field(default_factory=dict)  # files by role, of roles that this version knows not

    @property
    def first_graph(self) -> InspectionGraph:
        """The graph that reads words, and in a bundle without words that of photographs."""
        return self.graphs[WORDS if WORDS in self.graphs else PHOTOS]

    @property
    def graph_files(self) -> list[str]:
        """All that engines read, each once: the graphs of every role, the text encoder, copies in int8."""
        files = [graph.file for graph in self.graphs.values()] + list(self.other_graphs.values())
        files += [self.windows.file] if self.windows is not None else []
        files += [self.text_encoder.graph.file] if self.text_encoder is not None else []
        files += self.int8.graphs.values() if self.int8 is not None else []
        return list(dict.fromkeys(files))

    @property
    def known_graphs(self) -> dict[str, Graph]:
        """The same by file, with what the manifest says of their tensors; without roles that this version knows not."""
        graphs: dict[str, Graph] = {graph.file: graph for graph in self.graphs.values()}
        if self.windows is not None:
            graphs[self.windows.file] = self.windows
        if self.text_encoder is not None:
            graphs[self.text_encoder.graph.file] = self.text_encoder.graph
        return graphs | {copy: graphs[file] for file, copy in (self.int8.graphs if self.int8 else {}).items()}

    def document(self) -> dict[str, Any]:
        """What `bundle.json` says."""
        document = dataclasses.asdict(self)
        document["graphs"] |= {role: {"file": file} for role, file in document.pop("other_graphs").items()}
        windows = document.pop("windows")
        document["graphs"] |= {} if windows is None else {WINDOWS: windows}
        return document


@dataclass(frozen=True)
class _OtherGraph:
    file: str


def write_manifest(root: Path, manifest: Manifest) -> Manifest:
    """Account for every file but recipes, and write `bundle.json` and its digest. Returns what was written."""
    paths = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
    own = {MANIFEST, MANIFEST_DIGEST, MANIFEST_SIGNATURE}
    files = {
        name: FileEntry(sha256_of(path), path.stat().st_size)
        for name, path in paths.items()
        if name not in own and not name.startswith((f"{RECIPES}/", f"{PRECISIONS}/"))
    }
    manifest = dataclasses.replace(manifest, files=files)
    write_document(root, manifest.document())
    return manifest


def write_document(root: Path, document: dict[str, Any]) -> None:
    """Write `bundle.json` and the digest beside it. A signature goes, which was of other bytes."""
    data = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    (root / MANIFEST).write_bytes(data)
    (root / MANIFEST_DIGEST).write_bytes(_digest_line(hashlib.sha256(data).hexdigest()))
    drop_signature(root / MANIFEST)


def read_manifest(root: Path, key: PublicKey | None = None) -> tuple[Manifest, str]:
    """`bundle.json` of a folder, checked, and its digest; of other files only the signature that a key requires.

    Raises BundleError, SignatureError.
    """
    data = read_bounded(root, MANIFEST)
    path = root / MANIFEST
    if key is not None:
        key.require(path, data)
    try:
        document = build(dict[str, Any], parse_json(data, MANIFEST), MANIFEST)
    except MismatchError as error:
        raise BundleError(f"{path}: {error}: copy or export the bundle again") from error
    _require_version(path, document.get("schema_version"))
    digest = hashlib.sha256(data).hexdigest()
    if read_bounded(root, MANIFEST_DIGEST) != _digest_line(digest):
        raise BundleError(
            f"{path}: the content does not match its digest, {MANIFEST_DIGEST}: one of the two was changed; copy the "
            "bundle again"
        )
    try:
        manifest = build(Manifest, _with_roles(document), MANIFEST)
        _check_values(manifest)
    except MismatchError as error:
        raise BundleError(f"{path}: {error}: export the bundle again") from error
    return manifest, digest


def require_bundle(root: Path) -> None:
    """Refuse what is no folder with a manifest. Raises BundleError."""
    if not root.exists():
        raise BundleError(f"{root}: no such bundle folder; make one with: clipspect export METHOD --out {root}")
    if not root.is_dir():
        raise BundleError(
            f"{root}: is not a folder; a bundle is the folder that clipspect export writes, and a recipe's file goes "
            "with it, as --recipe FILE"
        )
    _refuse_link(root / MANIFEST)
    if not (root / MANIFEST).is_file():
        raise BundleError(
            f"{root}: not a bundle, it has no {MANIFEST}; make one with: clipspect export METHOD --out FOLDER"
        )


def read_bounded(root: Path, name: str) -> bytes:
    """A file that lies beside all others in a bundle. Raises BundleError."""
    require_bundle(root)
    path = root / name
    _refuse_link(path)
    if not path.is_file():
        raise BundleError(f"{path}: the file is missing: copy the bundle again")
    if path.stat().st_size > _MAX_MANIFEST_BYTES:
        raise BundleError(f"{path}: {path.stat().st_size} bytes is too large for this file: export the bundle again")
    return path.read_bytes()


def _refuse_link(path: Path) -> None:
    """Kubernetes mounts files as links, and some caches hold them so: what they lead to can change meanwhile."""
    if path.is_symlink():
        raise BundleError(f"{path}: is a link, and a bundle holds its files itself: copy it with cp -rL")


def _digest_line(digest: str) -> bytes:
    return f"{digest}  {MANIFEST}\n".encode()  # as `sha256sum` writes it


def _require_version(path: Path, version: object) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BundleError(
            f"{path}: schema_version is {version!r:.80}, expected a number from 1: export the bundle again"
        )
    if version > SCHEMA_VERSION:
        raise BundleError(
            f"{path}: schema version {version} is newer than this clipspect reads ({SCHEMA_VERSION}): upgrade clipspect"
        )
    if version < SCHEMA_VERSION:
        raise BundleError(
            f"{path}: schema version {version} is older than this clipspect reads ({SCHEMA_VERSION}): convert it with: "
            f"clipspect upgrade {path.parent}"
        )


def _with_roles(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the graph of windows apart, and those of unknown roles, of which only the file is looked at."""
    if "graphs" not in document:
        return document  # which is said of it like of any other key
    graphs = build(dict[str, Any], document["graphs"], f"{MANIFEST}: graphs")
    windows = build(dict[str, Any], graphs.pop(WINDOWS), f"{MANIFEST}: graphs: windows") if WINDOWS in graphs else None
    others = {role: graph for role, graph in graphs.items() if role not in ROLES}
    files = {role: build(_OtherGraph, graph, f"{MANIFEST}: graphs: {role}").file for role, graph in others.items()}
    known = {role: graph for role, graph in graphs.items() if role in ROLES}
    return {**document, "graphs": known, "other_graphs": files, "windows": windows}


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
    if not manifest.graphs:
        raise MismatchError(f"graphs: has no graph for {WORDS} or {PHOTOS}")
    beside_words = [*({BOTH} & manifest.graphs.keys()), *([WINDOWS] if manifest.windows is not None else [])]
    if beside_words and WORDS not in manifest.graphs:
        raise MismatchError(f"graphs: has no graph for {WORDS}, but one for {beside_words[0]}")
    for role, graph in manifest.graphs.items():
        require_tensors(role, graph, image, None if manifest.text is None else manifest.text.dim)
    if manifest.windows is not None:
        require_windows(manifest.windows, image, None if manifest.text is None else manifest.text.dim)
    inspecting = {graph.file for graph in (*manifest.graphs.values(), manifest.windows) if graph is not None}
    if manifest.int8 is not None and not set(manifest.int8.graphs) <= inspecting:
        raise MismatchError(f"int8: copies of {', '.join(manifest.int8.graphs)}, expected of graphs that inspect")
    if manifest.text_encoder is not None:
        encoder = manifest.text_encoder.graph
        if set(encoder.inputs) != {TOKENS} or set(encoder.outputs) != {EMBEDDINGS}:
            raise MismatchError(f"text_encoder graph: expected {TOKENS} to {EMBEDDINGS}")
    for file in manifest.graph_files:
        if not file.endswith(ONNX_SUFFIX):  # engines tell other formats by their suffix
            raise MismatchError(f"{file!r:.80} is the file of a graph, and does not end in {ONNX_SUFFIX}")
