"""One onnxruntime session: created quietly, its providers checked, its exceptions ours."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy.typing as npt
import onnxruntime

from clipspect.backends import Probe, Tensors
from clipspect.errors import BackendError

NAME = "onnxruntime"
CPU = "CPUExecutionProvider"
_FATAL = 4  # onnxruntime's log severity: its errors reach us as exceptions, its warnings help nobody on a line
_REMOTE = frozenset({"AzureExecutionProvider"})  # calls a service; no device of this machine

onnxruntime.set_default_logger_severity(_FATAL)


@dataclass(frozen=True)
class Options:
    """None means the engine's default."""

    threads: int | None = None  # that share one operator; default: one per physical core

    def __post_init__(self) -> None:
        wrong = isinstance(self.threads, bool) or not isinstance(self.threads, int) or self.threads < 1
        if self.threads is not None and wrong:
            raise BackendError(f"threads: expected a number from 1, found {self.threads!r}")


class Session:
    """A graph on one execution provider."""

    name = NAME

    def __init__(self, session: onnxruntime.InferenceSession, device: str) -> None:
        self.device = device
        self._session: onnxruntime.InferenceSession | None = session
        self._outputs = [output.name for output in session.get_outputs()]
        self._run_options = onnxruntime.RunOptions()
        self._run_options.log_severity_level = _FATAL

    def run(self, inputs: Tensors) -> dict[str, npt.NDArray[Any]]:
        """The graph's outputs by name. Raises BackendError."""
        if self._session is None:
            raise BackendError(f"the {NAME} backend is closed: load the bundle again")
        try:
            values = self._session.run(self._outputs, dict(inputs), self._run_options)
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise BackendError(f"{NAME} failed on {self.device}: {_one_line(error)}") from error
        return dict(zip(self._outputs, values))

    def close(self) -> None:
        self._session = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_session(graph: Path, precision: str, options: Options) -> Session:
    """Load a verified ONNX file on the CPU. Raises BackendError."""
    if precision != "fp32":
        # onnxruntime 1.31 ends the process with a segmentation fault on fp16 graphs, so it must never see one
        raise BackendError(f"{NAME} cannot run a {precision} graph on the CPU: export with --precision fp32")
    return _create(graph, CPU, options)


def probe(graph: Path, inputs: Tensors) -> list[Probe]:
    """Run a graph once on every execution provider that this build claims to have."""
    return [
        _probe(graph, inputs, provider) for provider in onnxruntime.get_available_providers() if provider not in _REMOTE
    ]


def _probe(graph: Path, inputs: Tensors, provider: str) -> Probe:
    device = _device(provider)
    try:
        with _create(graph, provider, Options()) as session:
            start = time.perf_counter()
            session.run(inputs)
            return Probe(device, True, f"ran in {(time.perf_counter() - start) * 1e3:.2f} ms")
    except BackendError as error:
        return Probe(device, False, str(error))


def _create(graph: Path, provider: str, options: Options) -> Session:
    if (
        provider not in onnxruntime.get_available_providers()
    ):  # asked for all the same, it would be left out with a warning
        raise BackendError(f"{NAME} {onnxruntime.__version__} is built without {provider}: install a build that has it")
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = _FATAL
    if options.threads is not None:
        settings.intra_op_num_threads = options.threads
    if provider != CPU:
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = onnxruntime.InferenceSession(str(graph), settings, providers=[provider])
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise BackendError(f"{NAME} cannot load {graph.name} on {_device(provider)}: {_one_line(error)}") from error
    if session.get_providers()[:1] != [provider]:  # the list that was asked for is only a wish
        raise BackendError(
            f"{NAME} took {session.get_providers()} instead of {provider}: this device cannot run the graph"
        )
    return Session(session, _device(provider))


def _device(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider").lower()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
