"""A graph in onnxruntime: its session created quietly, its provider checked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from clipspect.base.errors import BackendError
from clipspect.base.installation import pip_install
from clipspect.base.temporary import temporary_folder
from clipspect.engines.backend import Arrays, Backend, Tensors, one_line
from clipspect.engines.cache import files_of
from clipspect.engines.engine import CPU, Probe
from clipspect.engines.graph import ANY, FP16, FP32, INT8, Graph, Signature, TensorSpec
from clipspect.engines.onnxruntime import providers
from clipspect.engines.onnxruntime.binding import DTYPES, Binding
from clipspect.engines.onnxruntime.options import TENSORRT, OnnxRuntimeOptions
from clipspect.engines.onnxruntime.profile import profile_prefix, times_by_operator
from clipspect.host.system import limited_cores

NAME = "onnxruntime"
_FATAL = 4  # onnxruntime's log severity: its errors reach us as exceptions, its warnings help nobody on a line
# From here on weights stay in their mapped file: the session is ready at once and memory holds them once. Below, they
# are copied in the order in which the processor reads them, 10 % faster for small models on some processors.
_LARGE_BYTES = 64 << 20

onnxruntime.set_default_logger_severity(_FATAL)
onnxruntime.disable_telemetry_events()  # for a process that imported onnxruntime before clipspect.engines.telemetry


class OnnxRuntimeBackend(Backend):
    """A graph on one execution provider."""

    name = NAME

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        graph: Graph | None,
        precision: str,
        options: OnnxRuntimeOptions,
        example: Tensors | None,
    ) -> None:
        own = Signature(_specs(session.get_inputs()), _specs(session.get_outputs()))
        most = options.batch if options.device == TENSORRT else None
        super().__init__(own, graph, device=options.device, precision=precision, most_images=most)
        self._session = session
        self._binding = Binding(session, "cuda") if self.device != CPU else None
        self._options, self._example = options, example

    def _run(self, inputs: Tensors, outputs: Sequence[str]) -> Arrays:
        if self.device == TENSORRT and self._example is not None:
            providers.require_in_range(inputs, self._options, self._example)
        settings = onnxruntime.RunOptions()
        settings.log_severity_level = _FATAL
        if self._binding is not None:
            return self._binding.run(inputs, outputs, settings)
        return dict(zip(outputs, self._session.run(list(outputs), dict(inputs), settings)))

    def _profile(self) -> dict[str, float]:
        """Of the runs so far, once."""
        if not self._options.profile:
            raise BackendError(f"{NAME} was not opened to profile: load with profile=True")
        return times_by_operator(Path(self._session.end_profiling()))

    def _close(self) -> None:
        del self._session, self._binding


def open_session(
    path: Path,
    precision: str,
    options: OnnxRuntimeOptions,
    example: Tensors | None = None,
    graph: Graph | None = None,
) -> OnnxRuntimeBackend:
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
            f"{', '.join(providers.built_in())}): pip uninstall {NAME}, then {pip_install('gpu')}"
        )
    provider = providers.PROVIDERS[options.device]
    session = _create(path, precision, provider, providers.settings(path, precision, options, example), options)
    if session.get_providers()[:1] != [provider]:  # the list that was asked for is only a wish
        raise BackendError(
            f"{NAME} took {session.get_providers()} instead of {provider}: this device cannot run the graph"
        )
    return OnnxRuntimeBackend(session, graph, precision, options, example)


def devices() -> list[str]:
    """What to try where no device is named; TensorRT, which builds for minutes, only by its name."""
    return [device for device in providers.built_in() if device != TENSORRT]


def probe(path: Path, inputs: Tensors) -> list[Probe]:
    """Run a graph once on every device that this build claims to have."""
    return [_probe(path, inputs, device) for device in providers.built_in()]


def _probe(path: Path, inputs: Tensors, device: str) -> Probe:
    with temporary_folder() as cache:
        try:
            with open_session(path, FP32, OnnxRuntimeOptions(device, cache=str(cache)), inputs) as backend:
                start = time.perf_counter()
                backend.run(inputs)
                return Probe(device, True, f"ran in {(time.perf_counter() - start) * 1e3:.2f} ms")
        except BackendError as error:
            return Probe(device, False, str(error))


def _create(
    path: Path, precision: str, provider: str, settings: providers.Settings, options: OnnxRuntimeOptions
) -> onnxruntime.InferenceSession:
    on_cpu = options.device == CPU
    complaint = "" if on_cpu else providers.preload()
    try:
        return onnxruntime.InferenceSession(
            str(path),
            _session_options(path, precision, options),
            providers=[(provider, settings)],
            enable_fallback=0,  # onnxruntime's own way from a device that fails to the CPU, with a print
        )
    except Exception as error:  # onnxruntime's exceptions have no common base
        message = f"{NAME} cannot load {path.name} on {options.device}: {complaint or one_line(error)}"
        if not on_cpu:
            message += f"; {NAME} {onnxruntime.__version__} needs the driver, CUDA and cuDNN that it was built for"
        raise BackendError(message) from error


def _session_options(path: Path, precision: str, options: OnnxRuntimeOptions) -> onnxruntime.SessionOptions:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = _FATAL
    if (threads := options.threads or limited_cores()) is not None:
        settings.intra_op_num_threads = threads
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
        mapped = precision != INT8 and sum(file.stat().st_size for file in files_of(path)) >= _LARGE_BYTES
    if mapped:
        settings.add_session_config_entry("session.disable_prepacking", "1")
    return settings


def _specs(described: Sequence[Any]) -> dict[str, TensorSpec]:
    """Onnxruntime's own description of inputs or outputs; its empty shape is one that it does not know."""
    return {
        tensor.name: TensorSpec(
            DTYPES.get(tensor.type, tensor.type), tuple(ANY if side is None else side for side in tensor.shape)
        )
        for tensor in described
    }
