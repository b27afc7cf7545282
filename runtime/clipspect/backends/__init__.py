"""Inference engines behind one protocol: one folder an engine, imported on first use.

A new engine is a row in ENGINES and a folder whose module has `Options` (a frozen dataclass of
the engine's settings, None meaning the engine's default), `open_session` and `probe`.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy.typing as npt

from clipspect.errors import BackendError

Tensors = Mapping[str, npt.NDArray[Any]]


class Backend(Protocol):
    """A graph loaded into an engine, on one device. Close it, or use it as a context manager."""

    name: str
    device: str

    def run(self, inputs: Tensors) -> dict[str, npt.NDArray[Any]]:
        """The graph's outputs by name. Raises BackendError."""

    def close(self) -> None: ...

    def __enter__(self) -> Backend: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True)
class Engine:
    """A row of the registry."""

    name: str
    package: str  # what must be importable
    extra: str  # of the distribution: pip install "clipspect[extra]"

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None

    @property
    def remedy(self) -> str:
        return f'pip install "clipspect[{self.extra}]"'

    def module(self) -> Any:
        """Import the engine and its folder here. Raises BackendError when the engine's own libraries are missing."""
        if not self.installed:
            raise BackendError(f"the {self.name} backend is not installed: {self.remedy}")
        try:
            return importlib.import_module(f"{__name__}.{self.name}")
        except (ImportError, OSError) as error:
            raise BackendError(f"{self.name} is installed but does not load ({error}): {self.remedy}") from error


@dataclass(frozen=True)
class Probe:
    """What one device of an engine answered to a real run."""

    device: str
    works: bool
    detail: str  # the time of the run, or why there was none


PLANNED = ("openvino", "tensorrt")  # known by name, which is their package's too, but not driven yet
ENGINES = (Engine(name="onnxruntime", package="onnxruntime", extra="cpu"),)  # the best first


def open_backend(
    name: str | None, graph: Path, *, precision: str = "fp32", probe: Tensors | None = None, **options: Any
) -> Backend:
    """Load a graph into the named engine; without a name, into the first of ENGINES that is installed and works.

    `probe`, inputs of the graph, are run once: only a real run proves a device, and the first frame is then as
    quick as the next. `options` are fields of the engine's Options. A named engine that cannot run raises
    BackendError; nothing falls back.
    """
    if name is not None:
        return _open(_engine(name), graph, precision, probe, options)
    reasons = []
    for engine in ENGINES:
        if engine.installed:
            try:
                return _open(engine, graph, precision, probe, options)
            except BackendError as error:
                reasons.append(str(error))
    if not reasons:
        raise BackendError(f"no inference engine is installed: {' or '.join(engine.remedy for engine in ENGINES)}")
    raise BackendError("; ".join(reasons))


def _engine(name: str) -> Engine:
    for engine in ENGINES:
        if engine.name == name:
            return engine
    known = ", ".join(engine.name for engine in ENGINES)
    if name in PLANNED:
        raise BackendError(f"this version does not drive {name} yet; take one of: {known}")
    raise BackendError(f"no backend {name!r}; there are: {known}")


def _open(engine: Engine, graph: Path, precision: str, probe: Tensors | None, options: dict[str, Any]) -> Backend:
    module = engine.module()
    known = [field.name for field in dataclasses.fields(module.Options)]
    if unknown := sorted(set(options) - set(known)):
        raise BackendError(f"the {engine.name} backend has no option {unknown[0]!r}; there are: {', '.join(known)}")
    backend: Backend = module.open_session(graph, precision, module.Options(**options))
    if probe is not None:
        try:
            backend.run(probe)
        except BackendError:
            backend.close()
            raise
    return backend
