"""Records of precisions that were measured on this box, beside the manifest, which was hashed at export.

A record holds for one bundle, engine, its version, device and kind of processor; where one of them is another, it says
nothing. What it says goes before what the bundle's own record says.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clipspect.base.document import MismatchError, from_json
from clipspect.base.errors import BackendError
from clipspect.base.files import atomic_file
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import PRECISIONS
from clipspect.bundle.precision_record import PrecisionRecord
from clipspect.bundle.signature import PublicKey, drop_signature
from clipspect.engines.engine import registry
from clipspect.host.system import read_cpu

_SCHEMA_VERSION = 1
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class LocalRecord:
    """`precisions/ENGINE-PRECISION.json`: what was measured, and where that holds."""

    schema_version: int
    bundle: str  # SHA-256 of its bundle.json
    engine_version: str
    device: str
    architecture: str
    processor: str  # its model
    features: tuple[str, ...]  # of the processor
    record: PrecisionRecord


def write_local_record(bundle: Bundle, device: str, record: PrecisionRecord) -> Path:
    """Keep a record in the bundle's folder. Raises ClipspectError where that cannot be written."""
    cpu = read_cpu()
    kept = LocalRecord(
        _SCHEMA_VERSION,
        bundle.digest,
        _version(record.engine),
        device,
        cpu.architecture,
        cpu.model,
        cpu.features,
        record,
    )
    path = bundle.path / PRECISIONS / f"{record.engine}-{record.name}.json"
    with atomic_file(path) as file:
        file.write(msgspec.json.format(msgspec.json.encode(dataclasses.asdict(kept)), indent=2) + b"\n")
    drop_signature(path)
    return path


def local_record(bundle: Bundle, engine: str, precision: str) -> LocalRecord | None:
    """What was measured here, where it still holds. Raises BackendError for a file that is damaged, SignatureError."""
    path = bundle.path / PRECISIONS / f"{engine}-{precision}.json"
    if not os.path.lexists(path):
        return None
    kept, _ = _read(path, bundle.key)
    cpu = read_cpu()
    here = (_SCHEMA_VERSION, bundle.digest, _version(engine), cpu.architecture, cpu.model, cpu.features)
    there = (
        kept.schema_version,
        kept.bundle,
        kept.engine_version,
        kept.architecture,
        kept.processor,
        kept.features,
    )
    same = here == there and (kept.record.engine, kept.record.name) == (engine, precision)
    return kept if same else None


def read_local_records(bundle: Bundle, key: PublicKey | None) -> dict[Path, str]:
    """All files of records beside the bundle, whatever box they are of, with their SHA-256; with a key, signed by it.

    Raises BackendError for one that is damaged, SignatureError.
    """
    return {path: _read(path, key)[1] for path in sorted((bundle.path / PRECISIONS).glob("*.json"))}


def _read(path: Path, key: PublicKey | None) -> tuple[LocalRecord, str]:
    """A record, and the SHA-256 of its file."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_BYTES:
            raise MismatchError(f"no file of at most {_MOST_BYTES} bytes, or a link")
        data = path.read_bytes()
        if key is not None:
            key.require(path, data)
        return from_json(LocalRecord, data, path.name), hashlib.sha256(data).hexdigest()
    except (MismatchError, OSError) as error:
        raise BackendError(f"{path}: {error}: remove it, or measure again with clipspect verify --record") from error


def _version(name: str) -> str:
    for engine in registry():
        if engine.name == name and engine.installed:
            return str(getattr(importlib.import_module(engine.package), "__version__", ""))
    return ""
