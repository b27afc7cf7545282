"""The records of the precisions that a bundle can be computed in: each engine asked what torch was asked."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import onnx_ir as ir

from clipspect.base.errors import BackendError, BundleError, RecipeError
from clipspect.bundle.bundle import DEMO, Bundle
from clipspect.bundle.manifest import Parity
from clipspect.bundle.precision_record import Int8Copy, PrecisionRecord
from clipspect.engines import Backend, open_backend
from clipspect.engines.graph import ANOMALY_MAP, BF16, FP16, FP32, INT8, SCORE
from clipspect_export.check.answers import Check
from clipspect_export.check.parity import Differences, differences
from clipspect_export.graph.data_file import DataFile
from clipspect_export.graph.half_graph import emulated, halve
from clipspect_export.graph.write import DATA_SUFFIX, ENGINE
from clipspect_export.precision.demo_accuracy import Accuracy, demo_accuracy
from clipspect_export.precision.gate import LIMITS, judge
from clipspect_export.precision.int8_copy import Calibration, described, read_calibration, write_int8

EMULATED = f"{ENGINE}, emulated"  # as an engine's name in records
OPENVINO = "openvino"
INT8_ENGINES = (ENGINE, OPENVINO)

Checks = Mapping[Path, Check]  # by graph


def fp16_record(found: list[Differences]) -> PrecisionRecord:
    """Of an fp16 graph by its emulation: no engine for fp16 is asked of the machine that exports."""
    return judge(FP16, EMULATED, found, _lost(FP16, EMULATED))


def bf16_record(checks: Checks) -> PrecisionRecord:
    """Of the fp32 graphs in OpenVINO's bf16. Not measured where OpenVINO is not installed or the CPU has no bf16."""
    return _record(BF16, OPENVINO, checks)


def add_int8(checks: Checks, calibration: Calibration) -> tuple[Int8Copy, list[PrecisionRecord]]:
    """Write the int8 copies of fp32 graphs beside them; and their records, in each engine for CPUs."""
    copies = write_int8(list(checks), calibration.images)
    of_copies = {graph.with_name(copies[graph.name]): check for graph, check in checks.items()}
    return described(copies, calibration), [_record(INT8, engine, of_copies) for engine in INT8_ENGINES]


def emulated_differences(graph: Path, check: Check) -> Differences:
    """Of an fp16 graph, emulated."""
    with open_emulated(graph) as backend:
        return differences(backend, check)


def emulated_parity(found: Differences) -> Parity:
    """The parity record of an fp16 graph. It is not judged here: that does `fp16_record`."""
    return Parity(found.largest[SCORE], found.largest[ANOMALY_MAP], LIMITS[FP16].difference, found.images, EMULATED)


@contextmanager
def open_emulated(graph: Path) -> Iterator[Backend]:
    """An fp16 graph as the parity record has it: in onnxruntime, on values rounded to fp16."""
    with emulated(graph) as copy, open_backend(ENGINE, copy) as backend:
        yield backend


def _record(name: str, engine: str, checks: Checks) -> PrecisionRecord:
    try:
        found = []
        for graph, check in checks.items():
            with _open(name, engine, graph) as backend:
                found.append(differences(backend, check))
        lost = _lost(name, engine)
    except (BackendError, BundleError, RecipeError) as error:  # no such engine, or no demo model yet
        return PrecisionRecord(name, engine, passed=None, detail=str(error))
    return judge(name, engine, found, lost)


def _open(name: str, engine: str, graph: Path) -> Backend:
    return open_backend(engine, graph, graph_precision=INT8 if name == INT8 else FP32, precision=name)


@functools.cache
def _lost(name: str, engine: str) -> Accuracy:
    """By the demo model, in points. It is the same whatever is exported: measured once a process."""
    if name == FP16:
        return _exact().lost(demo_accuracy(open_emulated, _halved))
    return _exact().lost(demo_accuracy(functools.partial(_open, name, engine), _quantized if name == INT8 else None))


@functools.cache
def _exact() -> Accuracy:
    return demo_accuracy(functools.partial(open_backend, ENGINE))


def _halved(graph: Path) -> Path:
    model, half = ir.load(graph), graph.with_name("half.onnx")
    halve(model)
    DataFile(half.with_name(f"{half.name}{DATA_SUFFIX}")).take_weights(model.graph)
    ir.save(model, half)
    return half


def _quantized(graph: Path) -> Path:
    calibration = read_calibration([], Bundle.open(DEMO).manifest.image)
    return graph.with_name(write_int8([graph], calibration.images)[graph.name])
