"""The bundle: a folder whose manifest accounts for every file by hash, but for recipes, which prove themselves.

`Bundle.open` is the only way in. It verifies everything before it returns, so that no
engine ever sees a file that the exporter did not write.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from clipspect.base.errors import BundleError
from clipspect.base.files import FileEntry, sha256_of
from clipspect.bundle.manifest import MANIFEST, MANIFEST_DIGEST, MANIFEST_SIGNATURE, Manifest, read_manifest
from clipspect.bundle.signature import PublicKey, read_public_key
from clipspect.engines.onnx_check import check_onnx
from clipspect.engines.onnx_file import Message, locations_of, read_file
from clipspect.frame.input_limits import MAX_BUNDLE_BYTES

DEMO = "demo"  # the word that stands for the embedded bundle
_OWN = {MANIFEST, MANIFEST_DIGEST, MANIFEST_SIGNATURE}  # of the manifest's own, which it cannot list
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # characters that no file's name needs


@dataclass(frozen=True)
class Bundle:
    """A verified bundle on disk."""

    path: Path
    manifest: Manifest
    digest: str  # SHA-256 of bundle.json, by which records name the bundle
    key: PublicKey | None = None  # that signed it, and must have signed whatever of it is read later; None: nobody must

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, require_signature: str | os.PathLike[str] | None = None) -> Bundle:
        """Read and verify a bundle folder; the word "demo" opens the embedded one (write ./demo for a folder).

        Every file is hashed here, once. `require_signature` is the file of a public key (PEM, ed25519): a bundle that
        it did not sign is refused, and so is each of its recipes, when it is read. Raises BundleError with the one
        thing that is wrong, SignatureError, and ClipspectError for a key that cannot be used.
        """
        root = _demo_bundle() if path == DEMO else Path(path)
        key = None if require_signature is None else read_public_key(require_signature)
        try:
            manifest, digest = read_manifest(root, key)
            _check_accounts(root, manifest)
            _verify_files(root, manifest)
            require_plain_graphs(root, manifest)
        except OSError as error:
            raise BundleError(
                f"{root}: cannot be read ({error.strerror or error}): check the path and its rights"
            ) from error
        return cls(root, manifest, digest, key)

    def require_unchanged(self) -> None:
        """Refuse files that are not those that were verified when it was opened, which can be long ago.

        Raises BundleError.
        """
        try:
            _verify_files(self.path, self.manifest)
        except OSError as error:
            raise BundleError(
                f"{self.path}: cannot be read any more ({error.strerror or error}): check the path and its rights"
            ) from error

    @property
    def is_embedded(self) -> bool:
        """Whether it is the demo, which is part of the installation and never written to."""
        try:
            return self.path.resolve() == _demo_bundle().resolve()
        except BundleError:
            return False

    @property
    def graph_path(self) -> Path:
        """Of the graph that reads words, or of the one for photographs where none does."""
        return self.path / self.manifest.first_graph.file


def _demo_bundle() -> Path:
    try:
        from clipspect_models import DEMO_BUNDLE
    except ImportError as error:
        raise BundleError(
            "the embedded demo bundle is not in this installation: install clipspect again, from a wheel or a clone"
        ) from error
    return Path(DEMO_BUNDLE)


def _check_accounts(root: Path, manifest: Manifest) -> None:
    """Everything that is read besides recipes has its hash in the manifest."""
    encoder = manifest.text_encoder
    others = {"tokenizer": encoder.tokenizer if encoder else None, "check images": manifest.check}
    named = [("graph", file) for file in manifest.graph_files]
    named += [(what, file) for what, file in others.items() if file is not None]
    for what, file in named:
        if file not in manifest.files:
            raise BundleError(
                f"{root}: {MANIFEST} names the {what} {file!r:.200} but not its hash: export the bundle again"
            )
    if (total := sum(entry.size for entry in manifest.files.values())) > MAX_BUNDLE_BYTES:
        raise BundleError(
            f"{root}: its files have {total / 1e9:.1f} GB, at most {MAX_BUNDLE_BYTES / 1e9:.1f} are read: set "
            "CLIPSPECT_MAX_BUNDLE_BYTES if you trust it"
        )


def _verify_files(root: Path, manifest: Manifest) -> None:
    for name, entry in manifest.files.items():
        verify_file(root, name, entry)


def require_known_weights(root: Path, manifest: Manifest) -> None:
    """Refuse a graph that reads a file for which the manifest has no hash, or could. Raises BundleError."""
    for file in manifest.graph_files:
        _graph_file(root, file, manifest)


def require_plain_graphs(root: Path, manifest: Manifest) -> None:
    """The same, and refuse a graph that the exporter does not write so, before an engine opens it."""
    known = manifest.known_graphs
    for file in manifest.graph_files:
        contents = _graph_file(root, file, manifest)
        try:
            if file in known:  # else of a role that this version does not know, and gives to no engine
                check_onnx(contents, (root / file).parent, known[file])
        except ValueError as error:
            raise BundleError(f"{root / file}: no graph for an engine ({error}): export the bundle again") from error


def _graph_file(root: Path, file: str, manifest: Manifest) -> Message:
    """An ONNX file, read once, whose weights the manifest knows."""
    try:
        contents = read_file((root / file).read_bytes())
        locations = locations_of(contents)
    except ValueError as error:
        raise BundleError(
            f"{root / file}: not an ONNX model that is read here ({error}): export the bundle again"
        ) from error
    for location in sorted(locations):
        if str(PurePosixPath(file).parent / location) not in manifest.files:
            raise BundleError(
                f"{root / file}: reads its weights from {location!r:.200}, for which {MANIFEST} has no hash: "
                "export the bundle again"
            )
    return contents


def verify_file(root: Path, name: str, entry: FileEntry) -> None:
    """Refuse a file that is not what the manifest says of it, or lies elsewhere. Raises BundleError."""
    pure = PurePosixPath(name)
    outside = not pure.parts or pure.is_absolute() or ".." in pure.parts or any(sign in name for sign in "\\:")
    if outside or _CONTROL.search(name) or pure.as_posix() != name or name in _OWN:
        raise BundleError(f"{root}: {MANIFEST} names {name!r:.200}, which is no path inside the bundle: do not use it")
    if not _SHA256.fullmatch(entry.sha256):
        raise BundleError(f"{root}: {MANIFEST} holds no SHA-256 for {name!r}: export the bundle again")
    path = root / pure
    if any((root / part).is_symlink() for part in (pure, *pure.parents[:-1])):
        raise BundleError(f"{path}: is a link, and a bundle holds its files itself: copy it with cp -rL")
    if not path.is_file():
        raise BundleError(f"{path}: the file is missing: copy or export the bundle again")
    size = path.stat().st_size
    if size != entry.size:
        raise BundleError(
            f"{path}: {size} bytes, expected {entry.size}: the file was cut or changed; copy the bundle again"
        )
    if sha256_of(path) != entry.sha256:
        raise BundleError(f"{path}: the content does not match its hash: the file was changed; copy the bundle again")
