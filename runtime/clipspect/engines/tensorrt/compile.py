"""Compiling: one engine for one graph, built once, under a lock, and kept with all that it depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from clipspect.base.errors import BackendError
from clipspect.base.files import FileEntry
from clipspect.base.lock import locked
from clipspect.base.progress import Progress, quiet
from clipspect.base.version import __version__
from clipspect.engines.tensorrt import cuda, store
from clipspect.engines.tensorrt.build import build_plan, known_capabilities
from clipspect.engines.tensorrt.library import Library, library
from clipspect.engines.tensorrt.manifest import ENGINE_SCHEMA_VERSION, EngineManifest, Facts, Ranges
from clipspect.engines.tensorrt.options import TensorRtOptions


@dataclass(frozen=True)
class Compiled:
    """An engine in the cache, and whether it had to be built for that."""

    manifest: EngineManifest
    path: Path
    built: bool


def compile_graph(
    graph: Path,
    graph_precision: str,
    inputs: Ranges,
    options: TensorRtOptions,
    *,
    capabilities: Sequence[str] = (),
    force: bool = False,
    progress: Progress = quiet,
) -> Compiled:
    """Build the engine of a verified ONNX file, unless the cache has it and it takes these shapes.

    It is built for the GPU that is here; with `capabilities`, e.g. "8.6", which TensorRT-RTX alone can, for any GPU of
    these, here or not. An engine with the same facts and other shapes is replaced. Raises BackendError: no GPU, another
    process builds this engine, the graph does not build; ClipspectError where the cache cannot be written.
    """
    with_library = library(options.package)
    capabilities = sorted(set(capabilities), key=lambda name: (len(name), name))
    device = _target(with_library, capabilities)
    facts = facts_of(graph, options.precision_of(graph_precision), with_library, device, capabilities)
    folder = store.folder_of(options)

    def busy(holder: str) -> str:
        return f"process {holder} is compiling the engine of {graph} now: wait until it has ended"

    with locked(folder / f"{facts.fingerprint}.lock", busy, "choose another folder by --cache", BackendError):
        if not force and (kept := store.covered(folder, facts, inputs)) is not None:
            return Compiled(kept, folder / kept.file, built=False)
        start = perf_counter()
        plan = build_plan(with_library, graph, inputs, facts.precision, capabilities, progress)
        seconds = perf_counter() - start
        entry = FileEntry(hashlib.sha256(plan).hexdigest(), memoryview(plan).nbytes)
        manifest = EngineManifest(
            schema_version=ENGINE_SCHEMA_VERSION,
            clipspect=__version__,
            graph=str(graph.resolve()),
            facts=facts,
            inputs=inputs,
            file=f"{facts.fingerprint}-{entry.sha256[:12]}.engine",
            engine=entry,
            build_seconds=round(seconds, 3),
        )
        store.publish(folder, manifest, plan)
    return Compiled(manifest, folder / manifest.file, built=True)


def facts_of(
    graph: Path,
    precision: str,
    with_library: Library,
    device: cuda.Device | None,
    capabilities: Sequence[str] = (),
) -> Facts:
    """What an engine of this graph depends on, here and now. Raises BackendError."""
    return Facts(
        files=store.digests(graph),
        precision=precision,
        package=with_library.package,
        version=with_library.version,
        cuda=cuda.cuda_version(),
        device=device,
        compute_capabilities=(device.compute_capability,) if device else tuple(capabilities),
    )


def _target(with_library: Library, capabilities: Sequence[str]) -> cuda.Device | None:
    """The GPU to build for, None for compute capabilities. Raises BackendError."""
    package, known = with_library.package, known_capabilities(with_library)  # only TensorRT-RTX knows any
    if not capabilities:
        try:
            return cuda.device()
        except BackendError as error:
            otherwise = "run clipspect compile where the engine will run"
            if known:
                otherwise += f", or name that GPU's kind: --for-compute-capability {known[-1]}, say"
            raise BackendError(f"{package} builds for the GPU that is here: {error}; {otherwise}") from error
    if not known:
        raise BackendError(
            f"{package} builds for the GPU that is here, not for compute capabilities (that is tensorrt_rtx): leave "
            "--for-compute-capability out"
        )
    if unknown := [name for name in capabilities if name not in known]:
        raise BackendError(f"{package} does not build for compute capability {unknown[0]}; it knows {', '.join(known)}")
    return None
