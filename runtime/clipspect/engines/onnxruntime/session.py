"""One onnxruntime session: created quietly, its provider checked, its exceptions ours."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy.typing as npt
import onnxruntime

from clipspect.base.errors import BackendError
from clipspect.engines.cache import files_of
from clipspect.engines.engine import CPU, Probe, Tensors, one_line
from clipspect.engines.graph import FP16, INT8
from clipspect.engines.onnxruntime import providers
from clipspect.engines.onnxruntime.binding import Binding
from clipspect.engines.onnxruntime.options import TENSORRT, Options
from clipspect.engines.onnxruntime.profile import profile_prefix, times_by_operator

NAME = "onnxruntime"
_FATAL = 4  # onnxruntime's log severity: its errors reach us as exceptions, its warnings help nobody on a line
# From here on weights stay in their mapped file: the session is ready at once and memory holds them once. Below, they
# are copied in the order in which the processor reads them, 10 % faster for small models on some processors.
_LARGE_BYTES = 64 << 20

onnxruntime.set_default_logger_severity(_FATAL)


class Session:
    """A graph on one execution provider."""

    name = NAME
    reason = ""

    def __init__(
        self, session: onnxruntime.InferenceSession, precision: str, options: Options, example: Tensors | None
    ) -> None:
        self.device, self.precision = options.device, precision
        self._session: onnxruntime.InferenceSession | None = session
        self.most_images = options.batch if self.device == TENSORRT else None
        self._options, self._example = options, example
        self._binding = Binding(session, "cuda") if self.device != CPU else None
        self._outputs = [output.name for output in session.get_outputs()]

    def run(self, inputs: Tensors) -> dict[str, npt.NDArray[Any]]:
        """The graph's outputs by name. Raises BackendError."""
        if self._session is None:
            raise BackendError(f"the {NAME} backend is closed: load the bundle again")
        if self.device == TENSORRT and self._example is not None:
            providers.require_in_range(inputs, self._options, self._example)
        settings = onnxruntime.RunOptions()
        settings.log_severity_level = _FATAL
        try:
            if self._binding is not None:
                return self._binding.run(inputs, settings)
            return dict(zip(self._outputs, self._session.run(self._outputs, dict(inputs), settings)))
        except BackendError:
            raise
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise BackendError(f"{NAME} failed on {self.device}: {one_line(error)}") from error

    def profile(self) -> dict[str, float]:
        """Milliseconds of the runs so far by kind of operator, once. Raises BackendError unless opened to profile."""
        if self._session is None or not self._options.profile:
            raise BackendError(f"{NAME} was not opened to profile, or is closed: load with profile=True")
        return times_by_operator(Path(self._session.end_profiling()))

    def close(self) -> None:
        self._session = self._binding = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_session(graph: Path, precision: str, options: Options, example: Tensors | None = None) -> Session:
    """Load a verified ONNX file. Raises BackendError."""
    if options.device == CPU and precision == FP16:
        # onnxruntime 1.31 ends the process with a segmentation fault on fp16 graphs, so it must never see one
        raise BackendError(f"{NAME} cannot run a {precision} graph on the CPU: export with --precision fp32")
    if options.precision not in (None, precision):
        raise BackendError(f"precision: the graph is {precision}, found {options.precision!r}: leave it out")
    if options.device != CPU and precision == INT8:
        raise BackendError(f"{NAME}: int8 copies are for the CPU, found device {options.device}: leave precision out")
    if options.device not in providers.built_in():  # asked for all the same, it would be left out with a warning
        raise BackendError(
            f"{NAME} {onnxruntime.__version__} is built without {options.device} (it has "
            f'{", ".join(providers.built_in())}): pip uninstall {NAME}, then pip install "clipspect[gpu]"'
        )
    provider = providers.PROVIDERS[options.device]
    session = _create(graph, precision, provider, providers.settings(graph, precision, options, example), options)
    if session.get_providers()[:1] != [provider]:  # the list that was asked for is only a wish
        raise BackendError(
            f"{NAME} took {session.get_providers()} instead of {provider}: this device cannot run the graph"
        )
    return Session(session, precision, options, example)


def devices() -> list[str]:
    """What to try where no device is named; TensorRT, which builds for minutes, only by its name."""
    return [device for device in providers.built_in() if device != TENSORRT]


def probe(graph: Path, inputs: Tensors) -> list[Probe]:
    """Run a graph once on every device that this build claims to have."""
    return [_probe(graph, inputs, device) for device in providers.built_in()]


def _probe(graph: Path, inputs: Tensors, device: str) -> Probe:
    with tempfile.TemporaryDirectory() as cache:
        try:
            with open_session(graph, "fp32", Options(device, cache=cache), inputs) as session:
                start = time.perf_counter()
                session.run(inputs)
                return Probe(device, True, f"ran in {(time.perf_counter() - start) * 1e3:.2f} ms")
        except BackendError as error:
            return Probe(device, False, str(error))


def _create(
    graph: Path, precision: str, provider: str, settings: providers.Settings, options: Options
) -> onnxruntime.InferenceSession:
    on_cpu = options.device == CPU
    complaint = "" if on_cpu else providers.preload()
    try:
        return onnxruntime.InferenceSession(
            str(graph),
            _session_options(graph, precision, options),
            providers=[(provider, settings)],
            enable_fallback=0,  # onnxruntime's own way from a device that fails to the CPU, with a print
        )
    except Exception as error:  # onnxruntime's exceptions have no common base
        message = f"{NAME} cannot load {graph.name} on {options.device}: {complaint or one_line(error)}"
        if not on_cpu:
            message += f"; {NAME} {onnxruntime.__version__} needs the driver, CUDA and cuDNN that it was built for"
        raise BackendError(message) from error


def _session_options(graph: Path, precision: str, options: Options) -> onnxruntime.SessionOptions:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = _FATAL
    if options.threads is not None:
        settings.intra_op_num_threads = options.threads
    if options.profile:
        settings.enable_profiling = True
        settings.profile_file_prefix = profile_prefix()
    if options.device != CPU:
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        return settings
    # Threads that wait for each other sleep: spinning, they take the cores from whatever else wants them, decoding too,
    # and made runs beside it take up to twice as long; on an idle box there was no difference.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if precision == INT8:  # without VNNI, products of full-range bytes would saturate in 16 bits, in silence
        settings.add_session_config_entry("session.x64quantprecision", "1")
    settings.enable_mem_pattern = False  # a second plan of the same memory: WinCLIP would take 186 MB more
    mapped = options.map_weights
    if mapped is None:
        # products in int8 take a third longer with weights that are not laid out for them, and have a quarter of those
        mapped = precision != INT8 and sum(path.stat().st_size for path in files_of(graph)) >= _LARGE_BYTES
    if mapped:
        settings.add_session_config_entry("session.disable_prepacking", "1")
    return settings
