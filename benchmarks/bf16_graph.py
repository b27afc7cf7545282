"""bf16 emulated: what a product reads and makes is rounded to bf16; it is computed in fp32, as the hardware adds up."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from clipspect_export.graph.half_graph import PRODUCTS
from clipspect_export.graph.parts import new_node

_FLOAT, _BF16 = ir.DataType.FLOAT, ir.DataType.BFLOAT16


def write_emulated(graph: Path, copy: Path) -> None:
    """An fp32 graph on disk with its products in emulated bf16; beside it, for the weights are shared."""
    model = ir.load(graph)
    for number, node in enumerate(list(model.graph)):
        if node.op_type in PRODUCTS:
            for place, value in enumerate(node.inputs):
                if value is not None:
                    steps = _rounding(value, f"{number}.in{place}")
                    model.graph.insert_before(node, steps)
                    node.replace_input_with(place, steps[-1].outputs[0])
            (output,) = node.outputs
            readers, steps = list(output.uses()), _rounding(output, f"{number}.out")
            model.graph.insert_after(node, steps)
            for reader in readers:
                reader.node.replace_input_with(reader.idx, steps[-1].outputs[0])
    ir.save(model, copy)


def _rounding(value: ir.Value, name: str) -> list[ir.Node]:
    """To bf16 and back."""
    narrow = new_node("Cast", [value], f"{name}.bf16", value, _BF16, to=int(_BF16))
    return [narrow, new_node("Cast", [narrow.outputs[0]], f"{name}.rounded", value, _FLOAT, to=int(_FLOAT))]
