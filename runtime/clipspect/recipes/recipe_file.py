"""A recipe's file: safetensors that prove themselves. Specified in docs/bundle-format.md.

The header's metadata holds one string: a SHA-256 in hexadecimal, a line feed, a JSON document. The digest is over the
document's bytes and all bytes behind the header. The document repeats the header's table of tensors, so nothing of
the file is left unproved.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.document import MismatchError, build, parse_json
from clipspect.base.errors import RecipeError
from clipspect.bundle.signature import PublicKey

SCHEMA_VERSION = 2
NEWER_VERSION = 3  # of a recipe with a key of NEWER, which a reader of 2 must not score without
NEWER = ("region_of_interest", "tiling", "windows")  # keys that are there only where they say something
MAX_BYTES = 1 << 30
_MAX_HEADER = 1 << 26  # bytes of it; 10,000 calibrated parts take 3 MB
AGAIN = "make the recipe again, or copy it again"
_METADATA, _KEY, _TABLE, _VERSION = "__metadata__", "clipspect", "tensors", "schema_version"
_LENGTH = 8  # bytes of the header's length; headers are padded to a multiple of it
_FLOAT32, _ITEM = "F32", 4
_PROVED = re.compile(r"([0-9a-f]{64})\n(.*)", re.DOTALL)

Tensors = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class TensorEntry:
    """A row of the header's table: bytes `data_offsets[0]` to `data_offsets[1]` (exclusive) behind the header."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Contents:
    """What a recipe's file holds, proved by its digest."""

    digest: str
    document: dict[str, Any]  # without the table of tensors and the schema's version
    tensors: Tensors  # read-only


def pack(document: dict[str, Any], tensors: Tensors) -> tuple[str, bytes]:
    """The digest and the file of a JSON document and float32 arrays; the same are always the same bytes.

    Raises RecipeError for what JSON cannot say.
    """
    arrays = {name: np.ascontiguousarray(tensors[name], "<f4") for name in sorted(tensors)}
    table, end = {}, 0
    for name, array in arrays.items():
        table[name] = asdict(TensorEntry(_FLOAT32, array.shape, (end, end + array.nbytes)))
        end += array.nbytes
    try:
        version = NEWER_VERSION if any(key in document for key in NEWER) else SCHEMA_VERSION
        proved = _json({_VERSION: version, **document, _TABLE: table})
        buffer = b"".join(array.tobytes() for array in arrays.values())
        digest = hashlib.sha256(proved.encode() + buffer).hexdigest()
        header = _json({_METADATA: {_KEY: f"{digest}\n{proved}"}, **table}).encode()
    except ValueError as error:  # NaN, or half a surrogate pair
        raise RecipeError(f"the recipe cannot be written ({error}): correct its words or numbers") from error
    header += b" " * (-len(header) % _LENGTH)
    return digest, len(header).to_bytes(_LENGTH, "little") + header + buffer


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def unpack(path: Path, key: PublicKey | None = None) -> Contents:
    """Read a recipe's file and prove it; with a key, only what that key signed.

    Raises RecipeError with the one thing that is wrong, SignatureError.
    """
    if path.is_symlink():
        raise RecipeError(f"{path}: is a link, and what it leads to can change meanwhile: copy it with cp -L")
    if not path.is_file():
        raise RecipeError(f"{path}: no such recipe file: check the path")
    if path.stat().st_size > MAX_BYTES:
        raise RecipeError(f"{path}: {path.stat().st_size} bytes is too large for a recipe: {AGAIN}")
    try:
        data = _content(path)
        if key is not None:
            key.require(path, data)
        header, buffer = _split(data)
        digest, proved = _prove(path, header, buffer)
        document = build(dict[str, Any], parse_json(proved, "recipe"), "recipe")
        _require_version(path, document.pop(_VERSION, None))
        table = build(dict[str, TensorEntry], document.pop(_TABLE, None), f"recipe: {_TABLE}")
        if build(dict[str, TensorEntry], header, "header") != table:
            raise MismatchError("the header lists other tensors than the document")
        return Contents(digest, document, _tensors(table, buffer))
    except MismatchError as error:
        raise RecipeError(f"{path}: not a readable recipe ({error}): {AGAIN}") from error
    except OSError as error:
        raise RecipeError(
            f"{path}: cannot be read ({error.strerror or error}): check its rights, the disk, the share"
        ) from error


def _content(path: Path) -> bytes:
    """The file, if its header is bounded, and the header's tensors take what a large one has: no gigabyte of holes."""
    with path.open("rb") as file:
        length, size = int.from_bytes(file.read(_LENGTH), "little"), path.stat().st_size
        if length > size - _LENGTH:
            raise MismatchError("the header is longer than the file")
        if length > _MAX_HEADER:
            raise MismatchError(f"the header has {length} bytes, at most {_MAX_HEADER} are read")
        if size > 2 * _MAX_HEADER:
            header = _parsed(file.read(length))
            header.pop(_METADATA, None)
            table = build(dict[str, TensorEntry], header, "header")
            end = max((entry.data_offsets[1] for entry in table.values()), default=0)
            if (rest := size - _LENGTH - length) > end:
                raise MismatchError(f"the tensors take {end} bytes, the file has {rest}")
        file.seek(0)
        return file.read()


def _split(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """The header, parsed, and the bytes behind it, of a file whose header is bounded."""
    length = int.from_bytes(data[:_LENGTH], "little")
    return _parsed(data[_LENGTH : _LENGTH + length]), memoryview(data)[_LENGTH + length :]


def _parsed(header: bytes) -> dict[str, Any]:
    if header and min(header) < ord(" "):  # a changed byte of white space would change nothing else
        raise MismatchError("the header holds other white space than spaces")
    return build(dict[str, Any], parse_json(header, "header"), "header")


def _prove(path: Path, header: dict[str, Any], buffer: memoryview) -> tuple[str, bytes]:
    """The digest and the document; the metadata is taken out of the header."""
    metadata = build(dict[str, str], header.pop(_METADATA, {}), f"header: {_METADATA}")
    if list(metadata) != [_KEY]:
        raise MismatchError(f"the header's metadata has not the one key {_KEY!r}")
    if metadata[_KEY].startswith("{"):
        raise RecipeError(f"{path}: a recipe of schema 1: convert the bundle with: clipspect upgrade BUNDLE")
    found = _PROVED.fullmatch(metadata[_KEY])
    if found is None:
        raise MismatchError("the metadata does not begin with a digest")
    proved = found[2].encode()
    digest = hashlib.sha256(proved)
    digest.update(buffer)
    if digest.hexdigest() != found[1]:
        raise RecipeError(f"{path}: the content does not match its digest, the file was changed: {AGAIN}")
    return found[1], proved


def _require_version(path: Path, version: object) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise MismatchError(f"schema_version is {version!r:.80}, expected {SCHEMA_VERSION} or {NEWER_VERSION}")
    if version > NEWER_VERSION:
        raise RecipeError(f"{path}: recipe version {version} is newer than this clipspect reads: upgrade clipspect")
    if version < SCHEMA_VERSION:
        raise MismatchError(f"schema_version is {version}, which no recipe of this form has")


def _tensors(table: dict[str, TensorEntry], buffer: memoryview) -> Tensors:
    """The arrays, which fill the buffer one after the other."""
    tensors, end = {}, 0
    for name, entry in sorted(table.items(), key=lambda item: item[1].data_offsets):
        if entry.dtype != _FLOAT32:
            raise MismatchError(f"{name} must be finite float32, found {entry.dtype}")
        start, stop = entry.data_offsets
        fits = all(side >= 0 for side in entry.shape) and stop - start == _ITEM * math.prod(entry.shape)
        if start != end or not fits:
            raise MismatchError(f"{name}: the offsets {start} and {stop} do not fit its shape and place")
        end = stop
    if end != len(buffer):
        raise MismatchError(f"the tensors take {end} bytes, the file has {len(buffer)}")
    for name, entry in table.items():
        start, stop = entry.data_offsets
        array = np.frombuffer(buffer, "<f4", (stop - start) // _ITEM, start) if stop > start else np.empty(0, "<f4")
        tensors[name] = array.reshape(entry.shape)
        tensors[name].flags.writeable = False
        if not np.isfinite(array).all():
            raise MismatchError(f"{name} must be finite float32")
    return tensors
