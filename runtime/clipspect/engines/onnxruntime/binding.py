"""Inputs and outputs of a session in memory of its device, allocated once for each combination of input shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from clipspect.base.errors import BackendError
from clipspect.engines.backend import Arrays, Tensors

_GRAPH_ID = "gpu_graph_id"  # run option: which recorded CUDA graph is replayed; read only where they are switched on
# onnxruntime's names of the types that our graphs have, and NumPy's
DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
}

Shapes = tuple[tuple[int, ...], ...]


class Binding:
    """Runs a session from fixed addresses, as CUDA graphs need it; read-only arrays travel to the device once."""

    def __init__(self, session: onnxruntime.InferenceSession, memory: str) -> None:
        """`memory` is onnxruntime's name of where the tensors live: "cuda", or "cpu"."""
        self._session = session
        self._memory = memory
        self._buffers: dict[Shapes, _Buffers] = {}

    def run(self, inputs: Tensors, outputs: Sequence[str], options: onnxruntime.RunOptions) -> Arrays:
        """These outputs by name, copied to host memory. Raises BackendError, and what onnxruntime raises."""
        shapes = tuple(inputs[described.name].shape for described in self._session.get_inputs())
        if shapes not in self._buffers:
            self._buffers[shapes] = _Buffers(self._session, inputs, self._memory, len(self._buffers))
        return self._buffers[shapes].run(self._session, inputs, outputs, options)


class _Buffers:
    """The tensors of one combination of input shapes."""

    def __init__(self, session: onnxruntime.InferenceSession, inputs: Tensors, memory: str, number: int) -> None:
        self._number = number
        self._inputs = {
            name: onnxruntime.OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype.type, memory, 0)
            for name, array in inputs.items()
        }
        self._constants: dict[str, npt.NDArray[Any]] = {}  # that are in the buffers
        lengths = _lengths(session, inputs)
        self._outputs = {
            described.name: onnxruntime.OrtValue.ortvalue_from_shape_and_type(
                [_length(side, lengths, described.name) for side in described.shape],
                np.dtype(DTYPES[described.type]).type,
                memory,
                0,
            )
            for described in session.get_outputs()
        }
        self._binding = session.io_binding()
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in self._outputs.items():
            self._binding.bind_ortvalue_output(name, value)

    def run(
        self,
        session: onnxruntime.InferenceSession,
        inputs: Tensors,
        outputs: Sequence[str],
        options: onnxruntime.RunOptions,
    ) -> Arrays:
        for name, array in inputs.items():
            known = self._constants.pop(name, None)
            if array.flags.writeable or known is not array:
                self._inputs[name].update_inplace(np.ascontiguousarray(array))
            if not array.flags.writeable:
                self._constants[name] = array
        options.add_run_config_entry(_GRAPH_ID, str(self._number))
        session.run_with_iobinding(self._binding, options)
        return {name: np.array(self._outputs[name].numpy()) for name in outputs}


def _lengths(session: onnxruntime.InferenceSession, inputs: Tensors) -> dict[str, int]:
    """What the names of dynamic dimensions stand for, by these inputs."""
    return {
        side: length
        for described in session.get_inputs()
        for side, length in zip(described.shape, inputs[described.name].shape)
        if isinstance(side, str)
    }


def _length(side: int | str | None, lengths: dict[str, int], output: str) -> int:
    if isinstance(side, int):
        return side
    if side is None or side not in lengths:
        raise BackendError(f"the length of {output} cannot be told from the inputs: this graph runs on the cpu only")
    return lengths[side]
