"""Where a graph's encoder ends: marked at export, from the scopes of torch's modules, in the names of its outputs.

A module that is exported for inspection has one child named `encoder`. The tensors that leave it are named `encoded.0`
and so on in the ONNX file, so that whoever rewrites the encoder's precision later need not guess where it ends.
"""

from __future__ import annotations

import ast
import re

import onnx_ir as ir

from clipspect.base.errors import ExportError
from clipspect.engines.graph import CHOSEN_WINDOWS, IMAGE

ENCODER = "encoder"  # the child's name
_SCOPES = "pkg.torch.onnx.name_scopes"  # torch's metadata of a node: the modules that it was traced in, outermost first
_ENCODED = re.compile(r"encoded\.\d+")


def mark_encoder(graph: ir.Graph) -> None:
    """Name the tensors that leave the encoder; `graph` is as torch exported it. Raises ExportError."""
    traced = {output for node in graph if _in_encoder(node) for output in node.outputs}
    encoder = set(_made_by(traced))
    ends = [output for node in graph if node in encoder for output in node.outputs if _leaves(output, encoder)]
    if not ends or any(value.is_graph_output() for value in ends):
        raise ExportError(
            "torch's exporter does not say which nodes come from the encoder: report this with torch's version"
        )
    for number, value in enumerate(ends):
        value.name = f"encoded.{number}"
    encoder_nodes(graph)


def encoder_nodes(graph: ir.Graph) -> list[ir.Node]:
    """The nodes that make tokens and embeddings of the image, in order; what remains is the scoring.

    Raises ExportError for a graph whose encoder is not marked, or reads anything but the image and which windows.
    """
    ends = {output for node in graph for output in node.outputs if _ENCODED.fullmatch(output.name or "")}
    if not ends:
        raise ExportError("the graph does not say where its encoder ends: export it again")
    made_by = set(_made_by(ends))
    read = {value for node in made_by for value in node.inputs if value is not None and value.is_graph_input()}
    names = {str(value.name) for value in read}
    if others := sorted(name for name in names if name != IMAGE and not name.startswith(CHOSEN_WINDOWS)):
        raise ExportError(f"the graph's encoder reads {', '.join(others)}, expected the image alone")
    return [node for node in graph if node in made_by]


def _in_encoder(node: ir.Node) -> bool:
    scopes = ast.literal_eval(node.metadata_props.get(_SCOPES, "[]"))
    return any(scope == ENCODER or scope.startswith(f"{ENCODER}.") for scope in scopes[:-1])  # the last is the node


def _made_by(values: set[ir.Value]) -> list[ir.Node]:
    """All nodes that the values depend on."""
    found: dict[ir.Node, None] = {}
    waiting = list(values)
    while waiting:
        node = waiting.pop().producer()
        if node is not None and node not in found:
            found[node] = None
            waiting += [value for value in node.inputs if value is not None]
    return list(found)


def _leaves(value: ir.Value, encoder: set[ir.Node]) -> bool:
    """Whether what follows the encoder reads the value; shapes are not meant."""
    return value.dtype == ir.DataType.FLOAT and (
        value.is_graph_output() or any(reader not in encoder for reader in value.consumers())
    )
