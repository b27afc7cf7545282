"""NVIDIA's parser and builder as a gate that needs no GPU: TensorRT-RTX, driven by the runtime's own code."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipspect.engines.graph import Graph

CAPABILITIES = ("8.6", "12.0")


def require_parsed(path: Path) -> list[str]:
    """The outputs' names. Fails where the parser refuses the graph."""
    _require_rtx()
    from clipspect.engines.tensorrt.build import parse
    from clipspect.engines.tensorrt.library import library

    _builder, network, _parser = parse(library("tensorrt_rtx"), path)
    return [network.get_output(index).name for index in range(network.num_outputs)]


def require_built(path: Path, graph: Graph) -> None:
    """Fails where the parser refuses the graph, or the builder makes no engine of it, for one image."""
    _require_rtx()
    from clipspect.engines.tensorrt.build import build_plan
    from clipspect.engines.tensorrt.library import library
    from clipspect.engines.tensorrt.ranges import Sizes, ranges_of

    plan = build_plan(library("tensorrt_rtx"), path, ranges_of(graph, Sizes()), "fp32", CAPABILITIES)
    assert memoryview(plan).nbytes > 0


def _require_rtx() -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs NVIDIA's parser: pip install tensorrt-rtx-cu13 (no GPU)")
    pytest.importorskip("cuda.bindings", reason="needs NVIDIA's bindings: pip install cuda-bindings (no GPU)")
