"""One execution context: its tensors' memory, its stream, and its recorded kernels where they are wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from cuda.bindings import runtime

from clipspect.base.errors import BackendError
from clipspect.engines.backend import Arrays, Tensors
from clipspect.engines.tensorrt.cuda import Buffer, check, memory_words
from clipspect.engines.tensorrt.library import Library

Shapes = dict[str, tuple[int, ...]]


class Execution:
    """Runs a deserialised engine. Buffers grow to what was asked for; read-only inputs travel to the device once."""

    def __init__(self, library: Library, runtime_of_engine: Any, engine: Any, *, cuda_graph: bool) -> None:
        """Raises BackendError, mostly where the GPU's memory is too small."""
        trt = library.trt
        self._library, self._record = library, cuda_graph
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self.dtypes = {name: np.dtype(trt.nptype(engine.get_tensor_dtype(name))) for name in names}
        self.inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        self.outputs = [name for name in names if name not in self.inputs]
        self._owners = [runtime_of_engine, engine]  # must outlive the context
        self._context = _context(library, engine)
        self._buffers = {name: Buffer() for name in names}
        self._constants: dict[str, npt.NDArray[Any]] = {}  # that are on the device
        self._shapes: Shapes = {}  # of inputs and outputs, that the context is set to
        self._recorded: Any = None  # the kernels of a run with these shapes
        self._stream = check(runtime.cudaStreamCreateWithFlags(runtime.cudaStreamNonBlocking))

    def run(self, inputs: Tensors, outputs: Sequence[str]) -> Arrays:
        """These outputs, copied to arrays of the caller's own. Raises BackendError."""
        if any(self._shapes.get(name) != inputs[name].shape for name in self.inputs):
            self._set_shapes(inputs)
        for name in self.inputs:
            self._send(name, inputs[name])
        if self._record:
            self._replay()
        else:
            self._enqueue()
        for name in outputs:
            self._buffers[name].to_host(self._size(name), self._stream)
        self._wait()
        return {name: self._buffers[name].view(self._shapes[name], self.dtypes[name]).copy() for name in outputs}

    def close(self) -> None:
        """Give the memory back; what runs is waited for."""
        runtime.cudaStreamSynchronize(self._stream)
        self._forget()
        self._context = None
        self._owners.clear()
        for buffer in self._buffers.values():
            buffer.free()
        runtime.cudaStreamDestroy(self._stream)

    def _set_shapes(self, inputs: Tensors) -> None:
        """Tell the context what comes, and where; a recording of other shapes is of no use any more."""
        self._forget()
        for name in self.inputs:
            if not self._context.set_input_shape(name, inputs[name].shape):
                raise BackendError(f"the engine does not take {name} as {inputs[name].shape}: {self._complaint()}")
        shapes = {name: tuple(self._context.get_tensor_shape(name)) for name in self._buffers}
        for name, shape in shapes.items():
            if any(side < 0 for side in shape):
                raise BackendError(f"the length of {name} cannot be told from the inputs: {shape}")
            buffer = self._buffers[name]
            buffer.reserve(math.prod(shape) * self.dtypes[name].itemsize)
            if not self._context.set_tensor_address(name, buffer.device):
                raise BackendError(f"the engine refuses the memory of {name}: {self._complaint()}")
        self._shapes = shapes

    def _send(self, name: str, array: npt.NDArray[Any]) -> None:
        if not array.flags.writeable and self._constants.get(name) is array:
            return
        self._constants.pop(name, None)
        buffer = self._buffers[name]
        buffer.view(array.shape, array.dtype)[...] = array
        buffer.to_device(self._size(name), self._stream)
        if not array.flags.writeable:
            self._constants[name] = array

    def _replay(self) -> None:
        """The recorded kernels; at first a run without, since the context still sets itself up in it."""
        if self._recorded is None:
            self._enqueue()
            self._wait()
            # of this thread: what others do on the GPU meanwhile does not end up in the recording
            mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
            check(runtime.cudaStreamBeginCapture(self._stream, mode))
            try:
                self._enqueue()
            finally:
                ended = runtime.cudaStreamEndCapture(self._stream)
            graph = check(ended)
            self._recorded = check(runtime.cudaGraphInstantiate(graph, 0))
            runtime.cudaGraphDestroy(graph)
        check(runtime.cudaGraphLaunch(self._recorded, self._stream))

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(int(self._stream)):
            raise BackendError(self._complaint())

    def _wait(self) -> None:
        check(runtime.cudaStreamSynchronize(self._stream))

    def _forget(self) -> None:
        """Everything that belongs to the shapes of before."""
        if self._recorded is not None:
            runtime.cudaGraphExecDestroy(self._recorded)
        self._recorded = None
        self._constants.clear()
        self._shapes = {}

    def _size(self, name: str) -> int:
        """Bytes of a tensor in the shapes that are set."""
        return int(math.prod(self._shapes[name]) * self.dtypes[name].itemsize)

    def _complaint(self) -> str:
        return self._library.complaint()


def _context(library: Library, engine: Any) -> Any:
    trt = library.trt
    if hasattr(trt, "DynamicShapesKernelSpecializationStrategy"):  # TensorRT-RTX compiles kernels on the device
        config = engine.create_runtime_config()
        # when shapes are first set, not behind our back between frames
        config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        context = engine.create_execution_context(config)
    else:
        context = engine.create_execution_context()
    if context is None:
        raise BackendError(f"{library.package} cannot get ready to run ({library.complaint()}): {memory_words()}")
    return context
