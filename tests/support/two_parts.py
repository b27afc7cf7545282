"""A graph beside its two parts, as a server runs them: the same answers, and images that are apart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from clipspect.bundle.bundle import Bundle
from clipspect.engines.graph import IMAGE, Graph
from clipspect.engines.onnx_split import split

Arrays = dict[str, npt.NDArray[Any]]


def require_two_parts(bundle: Bundle, graph: Graph, folder: Path, tolerance: float = 2e-6) -> None:
    """Fails where the parts answer otherwise than the graph, or where an image's rows depend on another image."""
    parts = split(bundle.path / graph.file, graph)
    assert parts is not None
    inputs = _inputs(graph, images=2)
    for weights in bundle.path.glob("*.data"):
        os.link(weights, folder / weights.name)
    (folder / "encoder.onnx").write_bytes(parts.encoder.model)
    encoded = _answers(folder / "encoder.onnx", inputs)
    alone = _answers(folder / "encoder.onnx", {IMAGE: inputs[IMAGE][1:]})
    passed = encoded | {own: encoded[copy] for own, copy in parts.copied.items()}
    found = encoded | _answers(parts.head.model, inputs | passed)
    for name, values in _answers(bundle.path / graph.file, inputs).items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=tolerance, err_msg=name)
    for name, values in alone.items():
        np.testing.assert_allclose(values, encoded[name][1:], rtol=0, atol=tolerance, err_msg=name)


def _inputs(graph: Graph, images: int) -> Arrays:
    """Drawn, with features and rows of length 1."""
    draw = np.random.default_rng(1)
    drawn: Arrays = {}
    for name, spec in graph.inputs.items():
        shape = [side if isinstance(side, int) else 3 for side in spec.shape]
        if name == IMAGE:
            drawn[name] = draw.integers(0, 256, (images, *shape[1:]), np.uint8)
        else:
            values = draw.uniform(0.1, 1.0, shape).astype(np.float32)
            drawn[name] = values / np.linalg.norm(values, axis=-1, keepdims=True)
    return drawn


def _answers(model: bytes | Path, inputs: Arrays) -> Arrays:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    taken = {item.name: inputs[item.name] for item in session.get_inputs()}
    return dict(zip(names, session.run(names, taken)))
