"""NVIDIA's parser and builder as a gate that needs no GPU: TensorRT-RTX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from clipspect.manifest import Graph

MOST_ROWS = 1000  # of a gallery, and prompts, in the engine that is built


def require_parsed(path: Path) -> list[str]:
    """The outputs' names. Fails where the parser refuses the graph."""
    _, network, _ = _parse(path)
    return [network.get_output(index).name for index in range(network.num_outputs)]


def require_built(path: Path, graph: Graph) -> None:
    """Fails where the parser refuses the graph, or the builder makes no engine of it, for one image."""
    builder, network, _parser = _parse(path)
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    for name, spec in graph.inputs.items():
        if any(isinstance(side, str) for side in spec.shape):
            least, most = (
                [length if isinstance(side, str) else side for side in spec.shape] for length in (1, MOST_ROWS)
            )
            profile.set_shape(name, least, least, least if name == "image" else most)
    config.add_optimization_profile(profile)
    assert builder.build_serialized_network(network, config) is not None


def _parse(path: Path) -> tuple[Any, Any, Any]:
    """Builder, network, and the parser, which must live as long as the network does."""
    trt = pytest.importorskip("tensorrt_rtx", reason="needs NVIDIA's parser: pip install tensorrt-rtx-cu13 (no GPU)")
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, builder.logger)
    assert parser.parse_from_file(str(path)), [parser.get_error(index).desc() for index in range(parser.num_errors)]
    return builder, network, parser
