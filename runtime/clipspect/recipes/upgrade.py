"""Bundles of schema 1 to schema 2: the only place that still reads the first form, and its canonical digests."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from clipspect.base.document import MismatchError, build
from clipspect.base.errors import BundleError, RecipeError
from clipspect.base.files import FileEntry
from clipspect.base.folders import exchange_folders, sync, sync_folder
from clipspect.base.lock import only_writer_of
from clipspect.base.temporary import temporary_folder
from clipspect.bundle.bundle import Bundle, verify_file
from clipspect.bundle.manifest import MANIFEST, RECIPES, read_bounded, write_document
from clipspect.bundle.signature import drop_signature
from clipspect.engines.graph import BOTH, WORDS
from clipspect.recipes.recipe import RECIPE_SUFFIX, read_recipe
from clipspect.recipes.recipe_file import Tensors, pack

_FROM, _TO = 1, 2
_DIGEST = "sha256"  # key of both old documents: over the rest of the document, for recipes the tensors, too
_METADATA = "clipspect"


def upgrade(bundle: Path, out: Path | None = None) -> bool:
    """Convert a bundle with its recipes, in place or to a new folder. False where it is of schema 2 already.

    Everything is verified by its old digests first, and by its new ones before it takes its place; until then nothing
    is changed. Graphs and weights stay as they are, byte for byte. Raises BundleError, RecipeError.
    """
    target = (bundle if out is None else out).absolute()
    with only_writer_of(target, BundleError):  # also where nothing is to be done: it removes what a killed one left
        return _upgraded(bundle.absolute(), target, in_place=out is None)


def _upgraded(root: Path, target: Path, *, in_place: bool) -> bool:
    document = _read_document(root)
    if document.get("schema_version") == _TO:
        return False
    _require_proved(root, document)
    if not in_place and os.path.lexists(target):
        raise BundleError(f"{target} exists: choose another --out")
    try:
        with temporary_folder(target.parent) as hidden:
            folder = hidden / "bundle"
            shutil.copytree(root, folder, symlinks=True, copy_function=_link if in_place else shutil.copy2)
            _convert(folder, document)
            sync_folder(folder)
            if in_place:
                exchange_folders(folder, root)  # the old one goes with the hidden folder
            else:
                os.rename(folder, target)
        sync(target.parent)
    except (OSError, shutil.Error) as error:
        raise BundleError(f"{target}: cannot be written ({error}): nothing was changed; give --out FOLDER") from error
    return True


def _read_document(root: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_bounded(root, MANIFEST))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{root / MANIFEST}: not readable as JSON ({error}): copy the bundle again") from error
    if not isinstance(document, dict) or document.get("schema_version") not in (_FROM, _TO):
        raise BundleError(f"{root / MANIFEST}: not a bundle of schema {_FROM}: there is nothing to convert")
    return document


def _require_proved(root: Path, document: dict[str, Any]) -> None:
    """The manifest and the files fit their digests. Of recipes each is proved as it is converted."""
    rest = {key: value for key, value in document.items() if key != _DIGEST}
    if document.get(_DIGEST) != hashlib.sha256(_canonical(rest)).hexdigest():
        raise BundleError(
            f"{root / MANIFEST}: the content does not match its digest, the file was changed: copy the bundle again"
        )
    try:
        files = build(dict[str, FileEntry], document.get("files"), f"{MANIFEST}: files")
    except MismatchError as error:
        raise BundleError(f"{root / MANIFEST}: {error}: export the bundle again") from error
    for name, entry in files.items():
        if not _is_recipe(name):
            verify_file(root, name, entry)
        elif not (root / name).is_file():
            raise BundleError(f"{root / name}: the file is missing: copy the bundle again")


def _is_recipe(name: str) -> bool:
    return name.startswith(f"{RECIPES}/") and name.endswith(RECIPE_SUFFIX)


def _convert(folder: Path, document: dict[str, Any]) -> None:
    """Rewrite recipes and manifest of a copy, and read all of it as it will be read."""
    recipes = sorted((folder / RECIPES).glob(f"*{RECIPE_SUFFIX}"))
    for path in recipes:
        data = pack(*_read_recipe(path))[1]
        path.unlink()  # a link to the old one
        path.write_bytes(data)
        drop_signature(path)
    (folder / MANIFEST).unlink()
    try:
        write_document(folder, _converted(document))
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{folder / MANIFEST}: {error!r} in a bundle of schema 1: export the bundle again") from error
    Bundle.open(folder)
    for path in recipes:
        read_recipe(path)


def _converted(old: dict[str, Any]) -> dict[str, Any]:
    """The manifest's document in schema 2: graphs by role, recipes no longer listed, no digest inside."""
    own = {"graph": old["graph"], "map_range": old["map_range"], "parity": old["parity"]}
    parts = {WORDS: own, BOTH: old.get("few_shot")}
    graphs = {
        role: {**part["graph"], "map_range": part["map_range"], "parity": part["parity"]}
        for role, part in parts.items()
        if part is not None
    }
    files = {name: entry for name, entry in old["files"].items() if not _is_recipe(name)}
    gone = {"graph", "map_range", "parity", "few_shot", _DIGEST}
    kept = {key: value for key, value in old.items() if key not in gone and key != "files"}
    return {**kept, "schema_version": _TO, "graphs": graphs, "files": files}


def _read_recipe(path: Path) -> tuple[dict[str, Any], Tensors]:
    """The document, without digest and version, and the tensors of a recipe of schema 1 that proves itself."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, not a dict
        document = json.loads(metadata.get(_METADATA, ""))
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RecipeError(f"{path.name}: not a readable recipe of schema 1 ({error}): make it again") from error
    digest = document.pop(_DIGEST, None) if isinstance(document, dict) else None
    if digest is None or digest != _recipe_digest(document, tensors) or document.pop("schema_version", None) != _FROM:
        raise RecipeError(f"{path.name}: the recipe does not match its digest, the file was changed: copy it again")
    if any(tensor.dtype != np.float32 for tensor in tensors.values()):
        raise RecipeError(f"{path.name}: holds tensors that are not float32: make the recipe again")
    document.pop("calibration", None)  # free words: nothing is promised of these limits
    return document, tensors


def _recipe_digest(document: dict[str, Any], tensors: Tensors) -> str:
    digest = hashlib.sha256(_canonical(document))
    for key in sorted(tensors):
        value = tensors[key]
        digest.update(f"\n{key} {value.dtype.str} {value.shape}\n".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _link(source: str, target: str) -> None:
    """A second name for the file where the file system has that: weights need not be copied to stay as they are."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
