"""One compiled OpenVINO model: on the device and in the precision that were asked for, or not at all."""

from __future__ import annotations

import functools
import re
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino
from openvino.frontend import FrontEndManager

from clipspect.base.errors import BackendError
from clipspect.engines.engine import CPU, Probe, Tensors, one_line
from clipspect.engines.graph import INT8
from clipspect.engines.openvino.kernels import steer_linear_layers
from clipspect.engines.openvino.options import PRECISIONS, Options

NAME = "openvino"
_PLACE = re.compile(r"Exception from \S+?:\d+:|Check '.*?' failed at \S+?:\d+:")  # in OpenVINO's source


class Session:
    """A graph on one device."""

    name = NAME
    reason = ""
    most_images = None

    def __init__(self, compiled: openvino.CompiledModel, device: str, precision: str) -> None:
        self.device, self.precision = device, precision
        self._request: openvino.InferRequest | None = compiled.create_infer_request()
        self._profiles = compiled.get_property("PERF_COUNT") in (True, "YES")
        self._inputs = {port.get_any_name(): port.get_element_type().to_dtype() for port in compiled.inputs}

    def run(self, inputs: Tensors) -> dict[str, npt.NDArray[Any]]:
        """The graph's outputs by name. Raises BackendError."""
        if self._request is None:
            raise BackendError(f"the {NAME} backend is closed: load the bundle again")
        self._check(inputs)
        try:
            answered = self._request.infer(dict(inputs), share_inputs=True, share_outputs=False)
        except Exception as error:  # OpenVINO's exceptions have no common base
            raise BackendError(f"{NAME} failed on {self.device}: {_words(error)}") from error
        return {port.get_any_name(): np.asarray(value) for port, value in answered.items()}

    def _check(self, inputs: Tensors) -> None:
        """OpenVINO itself takes the run before's value for an input that is missing, and converts other types."""
        if sorted(inputs) != sorted(self._inputs):
            raise BackendError(f"the graph takes {', '.join(sorted(self._inputs))}, found {', '.join(sorted(inputs))}")
        for name, array in inputs.items():
            if array.dtype != self._inputs[name]:
                raise BackendError(f"the graph takes {name} as {self._inputs[name]}, found {array.dtype}")

    def profile(self) -> dict[str, float]:
        """Milliseconds of the last run by kind of operator. Raises BackendError unless opened with profile=True."""
        if self._request is None or not self._profiles:
            raise BackendError(f"{NAME} was not opened to profile, or is closed: load with profile=True")
        times: dict[str, float] = {}
        for operator in self._request.get_profiling_info():
            milliseconds = operator.real_time.total_seconds() * 1e3
            times[operator.node_type] = times.get(operator.node_type, 0.0) + milliseconds
        return times

    def close(self) -> None:
        self._request = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_session(graph: Path, precision: str, options: Options, example: Tensors | None = None) -> Session:
    """Compile a verified ONNX file. Raises BackendError."""
    device = options.device.upper()
    if options.device == CPU and precision == "fp16":
        raise BackendError(f"{NAME} does not run a {precision} graph on the CPU: export with --precision fp32")
    wanted = options.precision or precision
    if (precision == INT8) != (wanted == INT8) or (precision == INT8 and options.device != CPU):
        raise BackendError(
            f"{NAME} computes in int8 on the CPU and of an int8 copy alone, found a graph in {precision}, precision "
            f"{wanted} and device {options.device}: load a bundle that has one with --precision int8"
        )
    kind = PRECISIONS[wanted][1]
    try:
        _require_precision(wanted, options.device)
        model = _read(graph)
        if options.device == CPU and wanted == "fp32":
            steer_linear_layers(model)
        compiled = _core().compile_model(model, device, _settings(options, kind))
        taken = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        where = compiled.get_property("EXECUTION_DEVICES")
    except BackendError:
        raise
    except Exception as error:  # OpenVINO's exceptions have no common base
        raise BackendError(f"{NAME} cannot load {graph.name} on {options.device}: {_words(error)}") from error
    if taken != kind or [name.split(".")[0] for name in where] != [device.split(".")[0]]:
        raise BackendError(
            f"{NAME} took {taken} on {where} instead of {kind} on {device}: this device cannot run the graph"
        )
    return Session(compiled, options.device, wanted)


def devices() -> list[str]:
    """What OpenVINO sees of the devices that this backend drives, the likely fastest first. Raises BackendError."""
    try:
        seen = [name.lower() for name in _core().available_devices]
    except Exception as error:  # OpenVINO's exceptions have no common base
        raise BackendError(f"{NAME} cannot list its devices: {_words(error)}") from error
    return sorted((name for name in seen if name.split(".")[0] in ("cpu", "gpu")), reverse=True)


def probe(graph: Path, inputs: Tensors) -> list[Probe]:
    """Run a graph once on every device that OpenVINO sees here."""
    return [_probe(graph, inputs, device) for device in devices()]


def _probe(graph: Path, inputs: Tensors, device: str) -> Probe:
    try:
        with open_session(graph, "fp32", Options(device)) as session:
            start = time.perf_counter()
            session.run(inputs)
            milliseconds = (time.perf_counter() - start) * 1e3
            return Probe(device, True, f"ran in {milliseconds:.2f} ms; computes in {', '.join(_precisions(device))}")
    except BackendError as error:
        return Probe(device, False, str(error))


def _settings(options: Options, kind: str) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": kind,
        "PERFORMANCE_HINT": "LATENCY",  # one run at a time, on all threads
        "NUM_STREAMS": 1,
        "PERF_COUNT": options.profile,
    }
    if options.device == CPU:
        settings["ENABLE_CPU_PINNING"] = False  # two processes on one box would pin their threads to the same cores
        if options.threads is not None:
            settings["INFERENCE_NUM_THREADS"] = options.threads
    return settings


def _require_precision(precision: str, device: str) -> None:
    """Asked for one that it does not have, a device takes another in silence: a CPU for fp16 its bf16."""
    has = _precisions(device)
    if precision not in has:
        raise BackendError(
            f"{NAME}: this {device} does not compute in {precision}, it has {', '.join(has)}: take one of them"
        )


def _precisions(device: str) -> list[str]:
    """What the device can compute in."""
    capabilities = _core().get_property(device.upper(), "OPTIMIZATION_CAPABILITIES")
    return [name for name, (capability, _) in PRECISIONS.items() if capability in capabilities]


@functools.cache
def _core() -> openvino.Core:
    return openvino.Core()


def _read(graph: Path) -> openvino.Model:
    """By the ONNX reader alone: the others would have a look at a damaged file, too, and print. Weights are mapped."""
    reader = FrontEndManager().load_by_framework("onnx")
    return reader.convert(reader.load(str(graph)))


def _words(error: Exception) -> str:
    return one_line(RuntimeError(_PLACE.sub("", str(error))))
