"""Which engine scores: the one that was named, or the one that is fastest here, by a real run."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from clipspect.base.errors import BackendError
from clipspect.engines.backend import Backend, Tensors
from clipspect.engines.engine import CPU, Engine, engine_named, registry
from clipspect.engines.graph import FP32, Graph

# Engines that compete have a warm-up, and then runs until this time is over, one at least. Where the warm-up alone
# takes longer, it is the measurement: a graph whose run takes seconds costs every engine one.
_SECONDS = 2.0
_MOST_RUNS = 5


def open_backend(
    name: str | None,
    path: Path,
    *,
    graph: Graph | None = None,
    graph_precision: str = FP32,
    probe: Tensors | None = None,
    refused: Mapping[str, str] | None = None,
    **options: Any,
) -> Backend:
    """Load an ONNX file into the named engine; without a name, into the one that runs `probe` fastest.

    `graph` is what the manifest says of the file: inputs and answers are checked against it, and without it inputs
    against what the engine says. `graph_precision` is the bundle's. `probe`, inputs of the graph, is what engines
    compete with, and what proves any device but the CPU before it is handed out; on the CPU, a named or only engine
    first runs on the first frame. Without a probe there is no competition: the first of the registry that loads is
    taken. `options` are fields of the engine's Options; without a name, only engines that have them are tried.
    `refused` are engines that may not be taken, and why.
    An engine on a server is taken by its name alone. Raises BackendError; a named engine is never replaced.
    """
    load = _Load(path, graph, graph_precision, probe, options, refused or {})
    if name is not None:
        return load.into(engine_named(name))
    if "url" in options:
        servers = " or ".join(f"--backend {engine.name}" for engine in registry() if engine.remote)
        raise BackendError(f"url: is of an engine on a server, which is taken by its name alone: add {servers}")
    local = [engine for engine in registry() if not engine.remote]
    installed = [engine for engine in local if engine.installed]
    if not installed:
        raise BackendError(f"no inference engine is installed: {' or '.join(engine.remedy for engine in local)}")
    candidates, refusals = _candidates(installed, load)
    if not candidates and not refusals:  # an engine that finds no device of its kind refuses nothing
        names = " and ".join(engine.name for engine in installed)
        remedies = " or ".join(engine.remedy for engine in local if not engine.compiled)
        raise BackendError(f"{names} found no device here (clipspect doctor says why): for the CPU, {remedies}")
    if probe is None or len(candidates) == 1:
        return _first(candidates, refusals, load)
    return _fastest(candidates, refusals, load, probe)


@dataclass(frozen=True)
class _Load:
    """What is to be loaded, whatever the engine."""

    path: Path
    graph: Graph | None
    graph_precision: str
    probe: Tensors | None
    options: dict[str, Any]
    refused: Mapping[str, str] = field(default_factory=dict)

    def settings(self, engine: Engine, **device: str) -> Any:
        """The options as the engine's own. Raises BackendError for a refused engine, and one that cannot take them."""
        if engine.name in self.refused:
            raise BackendError(self.refused[engine.name])
        options, kind = {**self.options, **device}, engine.module()
        with engine.clear_errors():
            known = [field.name for field in dataclasses.fields(kind.Options)]
            if unknown := sorted(set(options) - set(known)):
                raise BackendError(
                    f"the {engine.name} backend has no option {unknown[0]!r}; there are: {', '.join(known)}"
                )
            return kind.Options(**options)

    def into(self, engine: Engine, **device: str) -> Backend:
        settings = self.settings(engine, **device)
        with engine.clear_errors():
            backend: Backend = engine.module().open_session(
                self.path, self.graph_precision, settings, self.probe, self.graph
            )
        if self.probe is not None and backend.device != CPU:
            try:
                backend.run(self.probe)
            except BackendError:
                backend.close()
                raise
        return backend


@dataclass(frozen=True)
class _Candidate:
    """An engine on a device of this machine."""

    engine: Engine
    device: str

    def __str__(self) -> str:
        return f"{self.engine.name} on {self.device}"


def _candidates(engines: list[Engine], load: _Load) -> tuple[list[_Candidate], list[str]]:
    """What may score here, and the words of the engines that do not import or cannot have the options."""
    candidates, refusals = [], []
    for engine in engines:
        try:
            with engine.clear_errors():
                devices = [load.options["device"]] if "device" in load.options else engine.module().devices()
            for device in devices:
                load.settings(engine, device=device)
                candidates.append(_Candidate(engine, device))
        except BackendError as error:
            refusals.append(str(error))
    return candidates, refusals


def _first(candidates: list[_Candidate], refusals: list[str], load: _Load) -> Backend:
    """The first that loads."""
    for candidate in candidates:
        try:
            backend = load.into(candidate.engine, device=candidate.device)
        except BackendError as error:
            refusals = [*refusals, str(error)]
            continue
        why = "the first that loads" if len(candidates) > 1 else "the only engine here that can"
        backend.reason = "; ".join([why, *refusals])
        return backend
    raise BackendError("; ".join(refusals))


def _fastest(candidates: list[_Candidate], refusals: list[str], load: _Load, probe: Tensors) -> Backend:
    """The one with the shortest run. One is open at a time, so that memory never holds the weights twice."""
    seconds: dict[_Candidate, float] = {}
    for candidate in candidates:
        try:
            with load.into(candidate.engine, device=candidate.device) as backend:
                seconds[candidate] = _seconds_a_run(backend, probe)
        except BackendError as error:
            refusals = [*refusals, str(error)]
    if not seconds:
        raise BackendError("; ".join(refusals))
    ranked = sorted(seconds, key=seconds.__getitem__)
    backend = load.into(ranked[0].engine, device=ranked[0].device)
    times = ", ".join(f"{candidate} {seconds[candidate] * 1e3:.0f} ms" for candidate in ranked)
    backend.reason = "; ".join([f"a run: {times}", *refusals])
    return backend


def _seconds_a_run(backend: Backend, probe: Tensors) -> float:
    """Median of a few runs after a warm-up."""
    warm_up = _seconds_of_one(backend, probe)
    if warm_up > _SECONDS:
        return warm_up
    times = [_seconds_of_one(backend, probe)]
    while len(times) < _MOST_RUNS and warm_up + sum(times) < _SECONDS:
        times.append(_seconds_of_one(backend, probe))
    return statistics.median(times)


def _seconds_of_one(backend: Backend, probe: Tensors) -> float:
    start = perf_counter()
    backend.run(probe)
    return perf_counter() - start
