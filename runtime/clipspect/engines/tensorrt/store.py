"""Compiled engines on disk: found by what they depend on, proved by their hash, written whole or not at all."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clipspect.base.errors import BackendError
from clipspect.base.files import atomic_file, sha256_of
from clipspect.engines.backend import one_line
from clipspect.engines.cache import cache_folder, files_of
from clipspect.engines.tensorrt.manifest import SUFFIX, EngineManifest, Facts, Ranges, read_engine_manifest
from clipspect.engines.tensorrt.options import TensorRtOptions

KIND = "tensorrt"  # of engine, in the folder of caches


def folder_of(options: TensorRtOptions) -> Path:
    return cache_folder(KIND, options.cache)


def digests(graph: Path) -> dict[str, str]:
    """SHA-256 of a graph and its weights by the files' names. Raises BackendError."""
    try:
        return {path.relative_to(graph.parent).as_posix(): sha256_of(path) for path in files_of(graph)}
    except (OSError, ValueError) as error:
        raise BackendError(f"tensorrt cannot load {graph.name} ({one_line(error)}): export the bundle again") from error


def compiled(folder: Path) -> list[EngineManifest]:
    """Every engine in the folder; those that another version wrote, or that are damaged, do not count."""
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            found.append(read_engine_manifest(path))
        except BackendError:
            continue
    return found


def fitting(folder: Path, facts: Facts) -> EngineManifest | None:
    """The engine that has these facts, one that was built on this very device before one that was not."""
    found = [engine for engine in compiled(folder) if not any(engine.facts.differences(facts))]
    return min(found, key=lambda engine: engine.facts.device is None, default=None)


def nearest(folder: Path, facts: Facts, graph: Path) -> tuple[EngineManifest, str] | None:
    """Of the engines of this graph, or of what was at its place, the one with the fewest differences, and these."""
    own = facts.files[graph.name]
    related = [
        (engine, list(engine.facts.differences(facts)))
        for engine in compiled(folder)
        if engine.facts.files.get(graph.name) == own or engine.graph == str(graph.resolve())
    ]
    closest = min(related, key=lambda item: len(item[1]), default=None)
    return None if closest is None else (closest[0], "; ".join(closest[1]))


@contextmanager
def contents(folder: Path, engine: EngineManifest, remedy: str = "compile it again") -> Iterator[mmap.mmap]:
    """The engine's bytes, mapped, after their size and hash were found to be right. Raises BackendError."""
    path = folder / engine.file
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != engine.engine.size:
                raise BackendError(
                    f"the engine {path} was cut short or changed ({size} of {engine.engine.size} bytes): {remedy}"
                )
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                if hashlib.sha256(mapped).hexdigest() != engine.engine.sha256:
                    raise BackendError(f"the engine {path} was changed: its content does not match its hash: {remedy}")
                yield mapped
    except (OSError, ValueError) as error:
        raise BackendError(f"the engine {path} cannot be read ({error}): {remedy}") from error


def covered(folder: Path, facts: Facts, inputs: Ranges) -> EngineManifest | None:
    """The whole engine that has these facts and takes these shapes, if there is one."""
    engine = fitting(folder, facts)
    if engine is None or engine.inputs.keys() != inputs.keys():
        return None
    if not all(engine.inputs[name].covers(shapes) for name, shapes in inputs.items()):
        return None
    try:
        with contents(folder, engine):
            return engine
    except BackendError:
        return None


def publish(folder: Path, engine: EngineManifest, plan: Any) -> None:
    """The engine first, then the manifest that names it; what the manifest named before goes. Raises ClipspectError.

    Whoever reads in between finds the engine of before.
    """
    fingerprint = engine.facts.fingerprint
    with atomic_file(folder / engine.file) as file:
        file.write(plan)
    with atomic_file(folder / f"{fingerprint}{SUFFIX}") as file:
        file.write(engine.to_json().encode())
    for path in folder.glob(f"{fingerprint}-*"):
        if path.name != engine.file:
            path.unlink(missing_ok=True)
