"""A bundle's graph in an engine, in the precision that is asked for, if a record says that it may be taken."""

from __future__ import annotations

from typing import Any

from clipspect.base.errors import BackendError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.inspection_graph import InspectionGraph
from clipspect.bundle.local_records import local_record
from clipspect.bundle.precision_record import LIMITS, PrecisionRecord
from clipspect.bundle.windows_graph import WindowsGraph
from clipspect.engines import Backend, Tensors, open_backend
from clipspect.engines.engine import registry
from clipspect.engines.graph import INT8, Graph

ALLOWANCE = 10  # times the export's tolerance, which is for one engine: others sum in another order


def open_graph(
    bundle: Bundle,
    graph: Graph,
    backend: str | None,
    *,
    probe: Tensors | None = None,
    force_precision: bool = False,
    **options: Any,
) -> Backend:
    """Load a graph of the bundle into the named engine, or into the fastest; arguments as `open_backend` takes them.

    For `precision="int8"` that is the bundle's int8 copy. An engine computes in another precision than the bundle's
    only if a record, of the export or of this box, says that it loses little, or with `force_precision`. Raises
    BackendError.
    """
    wanted = options.get("precision") or bundle.manifest.precision
    file, computes_in = graph.file, bundle.manifest.precision
    if wanted == INT8:
        file, computes_in = _int8_file(bundle, graph), INT8
    refused = {} if force_precision else _refused(bundle, wanted)
    path = bundle.path / file
    opened = open_backend(
        backend, path, graph=graph, graph_precision=computes_in, probe=probe, refused=refused, **options
    )
    if not force_precision and (fault := _unproved(bundle, opened)):
        opened.close()
        raise BackendError(fault)
    return opened


def allowed_difference(
    bundle: Bundle, graph: InspectionGraph | WindowsGraph, engine: str, device: str, precision: str
) -> float:
    """How far a score or a map's pixel of an engine may lie from the reference's: what `clipspect verify` demands.

    In fp32 and tf32 ALLOWANCE times the tolerance of the graph's export; in fp16, bf16 and int8 that of the record, and
    where there is none what a record demands. What was measured on a few check images is no bound: the demo's record
    of bf16 says 2e-3, on photographs of cookies it was 2e-2.
    """
    if precision not in LIMITS:
        return ALLOWANCE * graph.parity.tolerance
    if precision == bundle.manifest.precision:
        return graph.parity.tolerance
    record = _known(bundle, engine, precision, device)
    tolerance = LIMITS[precision].difference if record is None else record.tolerance
    return graph.parity.scale * (LIMITS[precision].difference if tolerance is None else tolerance)


def has_passed(bundle: Bundle, engine: str, device: str, precision: str) -> bool:
    """Whether an engine is known to keep to the allowed difference: in the bundle's own precision, or by its record."""
    record = _known(bundle, engine, precision, device)
    return precision == bundle.manifest.precision or (record is not None and record.passed is True)


def _known(bundle: Bundle, engine: str, precision: str, device: str | None = None) -> PrecisionRecord | None:
    """The record of an engine: this box's, if it is of that device, before the bundle's."""
    kept = local_record(bundle, engine, precision)
    if kept is not None and device in (None, kept.device):
        return kept.record
    found = (record for record in bundle.manifest.precisions if (record.engine, record.name) == (engine, precision))
    return next(found, None)


def _refused(bundle: Bundle, precision: str) -> dict[str, str]:
    """Engines that may not be taken, by what their records say, and why."""
    known = ((engine.name, _known(bundle, engine.name, precision)) for engine in registry())
    return {name: _refusal(record) for name, record in known if record is not None and record.refused}


def _unproved(bundle: Bundle, engine: Backend) -> str:
    """Why an engine may not be used after all, now that its device and precision are known; empty where it may."""
    precision = engine.precision
    if precision not in LIMITS or precision == bundle.manifest.precision:
        return ""
    record = _known(bundle, engine.name, precision, engine.device)
    if record is None:
        record = PrecisionRecord(precision, engine.name, passed=None, detail="the bundle has no record of it")
    return _refusal(record) if record.refused else ""


def _int8_file(bundle: Bundle, graph: Graph) -> str:
    copy = bundle.manifest.int8
    if copy is None or graph.file not in copy.graphs:
        raise BackendError(
            f"{bundle.path}: the bundle has no int8 copy of {graph.file}: export it again with --int8, or take fp32 or "
            "bf16"
        )
    return copy.graphs[graph.file]


def _refusal(record: PrecisionRecord) -> str:
    where = f"precision {record.name} in {record.engine}"
    if record.passed is None:
        return (
            f"{where} was not measured for this bundle ({record.detail}): measure it on this box with clipspect verify "
            f"--backend {record.engine} --precision {record.name} --record, take fp32, or force it with "
            "--force-precision"
        )
    return f"{where} did not pass ({record.detail}): take fp32, or force it with --force-precision"
