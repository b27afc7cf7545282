"""A graph in OpenVINO: on the device and in the precision that were asked for, or not at all."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino.frontend import FrontEndManager

from clipspect.base.errors import BackendError, UnavailableError
from clipspect.engines.backend import Arrays, Backend, Tensors, one_line, shared_by_backends
from clipspect.engines.engine import CPU, Probe
from clipspect.engines.graph import ANY, FP16, FP32, INT8, Graph, Signature, TensorSpec
from clipspect.engines.openvino.kernels import steer_linear_layers
from clipspect.engines.openvino.options import PRECISIONS, OpenVinoOptions
from clipspect.host.system import limited_cores

NAME = "openvino"
_PLACE = re.compile(r"Exception from \S+?:\d+:|Check '.*?' failed at \S+?:\d+:")  # in OpenVINO's source


class OpenVinoBackend(Backend):
    """A graph on one device."""

    name = NAME
    length_step = 32  # the CPU plugin keeps memory for each shape that it has seen

    def __init__(self, compiled: openvino.CompiledModel, graph: Graph | None, device: str, precision: str) -> None:
        own = Signature(_specs(compiled.inputs), _specs(compiled.outputs))
        super().__init__(own, graph, device=device, precision=precision)
        self._request = compiled.create_infer_request()
        self._profiles = compiled.get_property("PERF_COUNT") in (True, "YES")

    def _run(self, inputs: Tensors, outputs: Sequence[str]) -> Arrays:
        answered = self._request.infer(dict(inputs), share_inputs=True, share_outputs=True)
        return {name: np.array(answered[name]) for name in outputs}  # copies: the next run writes to these

    def _profile(self) -> dict[str, float]:
        """Of the last run."""
        if not self._profiles:
            raise BackendError(f"{NAME} was not opened to profile: load with profile=True")
        times: dict[str, float] = {}
        for operator in self._request.get_profiling_info():
            milliseconds = operator.real_time.total_seconds() * 1e3
            times[operator.node_type] = times.get(operator.node_type, 0.0) + milliseconds
        return times

    def _close(self) -> None:
        del self._request

    def _words(self, error: Exception) -> str:
        return _words(error)


def open_session(
    path: Path,
    precision: str,
    options: OpenVinoOptions,
    example: Tensors | None = None,
    graph: Graph | None = None,
) -> OpenVinoBackend:
    """Compile a verified ONNX file. Raises BackendError."""
    device = options.device.upper()
    if options.device == CPU and precision == FP16:
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
        model = _read(path)
        if options.device == CPU and wanted == FP32:
            steer_linear_layers(model)
        compiled = _core().compile_model(model, device, _settings(options, kind))
        taken = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        where = compiled.get_property("EXECUTION_DEVICES")
    except BackendError:
        raise
    except Exception as error:  # OpenVINO's exceptions have no common base
        raise BackendError(f"{NAME} cannot load {path.name} on {options.device}: {_words(error)}") from error
    if taken != kind or [name.split(".")[0] for name in where] != [device.split(".")[0]]:
        raise BackendError(
            f"{NAME} took {taken} on {where} instead of {kind} on {device}: this device cannot run the graph"
        )
    return OpenVinoBackend(compiled, graph, options.device, wanted)


def devices() -> list[str]:
    """What OpenVINO sees of the devices that this backend drives, the likely fastest first. Raises BackendError."""
    try:
        seen = [name.lower() for name in _core().available_devices]
    except Exception as error:  # OpenVINO's exceptions have no common base
        raise BackendError(f"{NAME} cannot list its devices: {_words(error)}") from error
    return sorted((name for name in seen if name.split(".")[0] in ("cpu", "gpu")), reverse=True)


def probe(path: Path, inputs: Tensors) -> list[Probe]:
    """Run a graph once on every device that OpenVINO sees here."""
    return [_probe(path, inputs, device) for device in devices()]


def _probe(path: Path, inputs: Tensors, device: str) -> Probe:
    try:
        with open_session(path, FP32, OpenVinoOptions(device)) as backend:
            start = time.perf_counter()
            backend.run(inputs)
            milliseconds = (time.perf_counter() - start) * 1e3
            return Probe(device, True, f"ran in {milliseconds:.2f} ms; computes in {', '.join(_precisions(device))}")
    except BackendError as error:
        return Probe(device, False, str(error))


def _settings(options: OpenVinoOptions, kind: str) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": kind,
        "PERFORMANCE_HINT": "LATENCY",  # one run at a time, on all threads
        "NUM_STREAMS": 1,
        "PERF_COUNT": options.profile,
    }
    if options.device == CPU:
        settings["ENABLE_CPU_PINNING"] = False  # two processes on one box would pin their threads to the same cores
        if (threads := options.threads or limited_cores()) is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
    return settings


def _require_precision(precision: str, device: str) -> None:
    """Asked for one that it does not have, a device takes another in silence: a CPU for fp16 its bf16."""
    has = _precisions(device)
    if precision not in has:
        raise UnavailableError(
            f"{NAME}: this {device} does not compute in {precision}, it has {', '.join(has)}: take one of them"
        )


def _precisions(device: str) -> list[str]:
    """What the device can compute in."""
    capabilities = _core().get_property(device.upper(), "OPTIMIZATION_CAPABILITIES")
    return [name for name, (capability, _) in PRECISIONS.items() if capability in capabilities]


def _core() -> openvino.Core:
    """Raises BackendError in a process that was forked from one which has used OpenVINO: it would wait for ever."""
    core, process = _only_core()
    if process != os.getpid():
        raise BackendError(
            f"{NAME} was used in process {process}, and this is process {os.getpid()}, forked from it: its threads do "
            f"not survive a fork; start the process anew (multiprocessing: spawn), or load {NAME} in no process before"
        )
    return core


@functools.cache
def _only_core() -> tuple[openvino.Core, int]:
    """And the process that made it."""
    return shared_by_backends(openvino.Core()), os.getpid()


def _read(path: Path) -> openvino.Model:
    """By the ONNX reader alone: the others would have a look at a damaged file, too, and print. Weights are mapped."""
    reader = FrontEndManager().load_by_framework("onnx")
    return reader.convert(reader.load(str(path)))


def _words(error: Exception) -> str:
    return one_line(RuntimeError(_PLACE.sub("", str(error))))


def _specs(ports: Sequence[Any]) -> dict[str, TensorSpec]:
    """OpenVINO's own description of inputs or outputs."""
    specs = {}
    for port in ports:
        shape = port.get_partial_shape()
        sides = () if shape.rank.is_dynamic else tuple(ANY if side.is_dynamic else side.get_length() for side in shape)
        specs[port.get_any_name()] = TensorSpec(port.get_element_type().to_dtype().name, sides)
    return specs
