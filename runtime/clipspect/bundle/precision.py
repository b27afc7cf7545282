"""A bundle's graph in an engine, in the precision that is asked for, unless its record speaks against it."""

from __future__ import annotations

from typing import Any

from clipspect.base.errors import BackendError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.precision_record import PrecisionRecord
from clipspect.engines import Backend, Tensors, open_backend
from clipspect.engines.graph import INT8, Graph


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

    For `precision="int8"` that is the bundle's int8 copy. An engine whose record of the precision says that it loses
    too much is not taken, but with `force_precision`. Raises BackendError.
    """
    wanted = options.get("precision") or bundle.manifest.precision
    file, computes_in = graph.file, bundle.manifest.precision
    if wanted == INT8:
        file, computes_in = _int8_file(bundle, graph), INT8
    refused = {
        record.engine: _refusal(record)
        for record in bundle.manifest.precisions
        if record.name == wanted and record.refused and not force_precision
    }
    path = bundle.path / file
    return open_backend(
        backend, path, graph=graph, graph_precision=computes_in, probe=probe, refused=refused, **options
    )


def record_of(bundle: Bundle, engine: Backend) -> PrecisionRecord | None:
    """What the bundle says of the precision that the engine computes in; of fp16, what its emulation showed."""
    found = [record for record in bundle.manifest.precisions if record.name == engine.precision]
    return next((record for record in found if record.engine == engine.name), found[0] if found else None)


def _int8_file(bundle: Bundle, graph: Graph) -> str:
    copy = bundle.manifest.int8
    if copy is None or graph.file not in copy.graphs:
        raise BackendError(
            f"{bundle.path}: the bundle has no int8 copy of {graph.file}: export it again with --int8, or take fp32 or "
            "bf16"
        )
    return copy.graphs[graph.file]


def _refusal(record: PrecisionRecord) -> str:
    if record.passed is None:
        return (
            f"precision {record.name} in {record.engine} was not measured when this bundle was exported "
            f"({record.detail}): take fp32, or force it with --force-precision"
        )
    return (
        f"precision {record.name} in {record.engine} did not pass when this bundle was exported ({record.detail}): "
        "take fp32, or force it with --force-precision"
    )
