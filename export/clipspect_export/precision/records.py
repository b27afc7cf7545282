"""The records of the precisions that a bundle can be computed in: each engine asked what torch was asked."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from clipspect.base.errors import BackendError, BundleError, UnavailableError
from clipspect.bundle.inspection_graph import Parity
from clipspect.bundle.precision_record import LIMITS, Int8Copy, PrecisionRecord
from clipspect.engines import Backend, open_backend
from clipspect.engines.graph import BF16, FP16, FP32, INT8
from clipspect_export.check.answers import Check
from clipspect_export.check.parity import differences, measure_parity, parity
from clipspect_export.graph.data_file import DataFile
from clipspect_export.graph.half_graph import emulated, halve
from clipspect_export.graph.write import DATA_SUFFIX, ENGINE
from clipspect_export.precision.demo_model import AccuracyPoints, demo_accuracy, demo_model
from clipspect_export.precision.gate import broken, judge
from clipspect_export.precision.int8_copy import Calibration, described, read_calibration, write_int8

EMULATED = f"{ENGINE}, emulated"  # as an engine's name in records
OPENVINO = "openvino"
INT8_ENGINES = (ENGINE, OPENVINO)

Checks = Mapping[Path, Check]  # by graph


@dataclass(frozen=True)
class Compared:
    """Written graphs against the references: in their own precision, and in that which an engine's hint gives."""

    parities: dict[Path, Parity]
    record: PrecisionRecord


def compare_graphs(checks: Checks, tolerance: float, precision: str) -> Compared:
    """The graphs asked what the references were asked. Raises ExportError beyond the tolerance, BackendError."""
    if precision != FP16:
        return Compared(
            {graph: measure_parity(graph, check, tolerance) for graph, check in checks.items()}, bf16_record(checks)
        )
    found = {}
    for graph, check in checks.items():
        with open_emulated(graph) as backend:
            found[graph] = differences(backend, check)
    # no engine for fp16 is asked of the machine that exports: the record is the emulation's, and judges the parity
    record = judge(FP16, EMULATED, list(found.values()), _lost(FP16, EMULATED))
    most = LIMITS[FP16].difference
    return Compared({graph: parity(own, most, EMULATED) for graph, own in found.items()}, record)


def bf16_record(checks: Checks) -> PrecisionRecord:
    """Of the fp32 graphs in OpenVINO's bf16. Not measured where OpenVINO is not installed or the CPU has no bf16."""
    return measure_record(BF16, OPENVINO, checks)


def add_int8(checks: Checks, calibration: Calibration) -> tuple[Int8Copy, list[PrecisionRecord]]:
    """Write the int8 copies of fp32 graphs beside them; and their records, in each engine for CPUs."""
    copies = write_int8(list(checks), calibration.images)
    of_copies = {graph.with_name(copies[graph.name]): check for graph, check in checks.items()}
    return described(copies, calibration), [measure_record(INT8, engine, of_copies) for engine in INT8_ENGINES]


def measure_record(name: str, engine: str, checks: Checks) -> PrecisionRecord:
    """The record of a precision in an engine. Not measured only where this machine lacks the engine or the precision.

    An engine that is here and cannot run the graphs, or the demo model's, does not pass. Raises ExportError where one
    answers no number.
    """
    try:
        found = []
        for graph, check in checks.items():
            with _open(name, engine, graph) as backend:
                found.append(differences(backend, check))
        lost = _lost(name, engine)
    except UnavailableError as error:
        return PrecisionRecord(name, engine, passed=None, detail=str(error))
    except (BackendError, BundleError) as error:
        return broken(name, engine, error)
    return judge(name, engine, found, lost)


@contextmanager
def open_emulated(graph: Path) -> Iterator[Backend]:
    """An fp16 graph as the parity record has it: in onnxruntime, on values rounded to fp16."""
    with emulated(graph) as copy, open_backend(ENGINE, copy) as backend:
        yield backend


def _open(name: str, engine: str, graph: Path) -> Backend:
    return open_backend(engine, graph, graph_precision=INT8 if name == INT8 else FP32, precision=name)


@functools.cache
def _lost(name: str, engine: str) -> AccuracyPoints:
    """By the demo model, in points. It is the same whatever is exported: measured once a process."""
    if name == FP16:
        return _exact().lost(demo_accuracy(open_emulated, _halved))
    return _exact().lost(demo_accuracy(functools.partial(_open, name, engine), _quantized if name == INT8 else None))


@functools.cache
def _exact() -> AccuracyPoints:
    return demo_accuracy(functools.partial(open_backend, ENGINE))


def _halved(graph: Path) -> Path:
    model, half = ir.load(graph), graph.with_name("half.onnx")
    halve(model)
    DataFile(half.with_name(f"{half.name}{DATA_SUFFIX}")).take_weights(model.graph)
    ir.save(model, half)
    return half


@functools.cache
def _quantized(graph: Path) -> Path:
    calibration = read_calibration([], demo_model().image)
    return graph.with_name(write_int8([graph], calibration.images)[graph.name])
