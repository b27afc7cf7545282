# ruff: noqa: N802, the functions have CUDA's names
"""What stands in for a GPU where there is none: CUDA's functions over host memory, and onnxruntime as the engine.

It proves which bytes go where, in which order and how often; that NVIDIA's own functions do what their documentation
says it does not.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
from cuda.bindings import runtime

OK = runtime.cudaError_t.cudaSuccess
NO_MEMORY = runtime.cudaError_t.cudaErrorMemoryAllocation
TO_DEVICE = runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
STREAM = 7


class StandInCuda:
    """`cuda.bindings.runtime` for one stream; device and host memory are told apart, and counted."""

    def __init__(self, memory: int = 1 << 30) -> None:
        self.memory = memory  # bytes of the device
        self.blocks: dict[str, dict[int, Any]] = {"device": {}, "host": {}}
        self.sent: list[int] = []  # bytes of each copy to the device
        self.launches = 0  # of recorded kernels
        self._recording: list[Callable[[], None]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(runtime, name)  # enumerations

    def do(self, work: Callable[[], None]) -> None:
        """Now, or when what is being recorded is launched."""
        if self._recording is None:
            work()
        else:
            self._recording.append(work)

    def cudaMalloc(self, size: int) -> tuple[Any, ...]:
        held = sum(ctypes.sizeof(block) for block in self.blocks["device"].values())
        return self._allocate("device", size) if held + size <= self.memory else (NO_MEMORY, None)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Any, ...]:
        return self._allocate("host", size)

    def _allocate(self, side: str, size: int) -> tuple[Any, ...]:
        block = ctypes.create_string_buffer(size)
        self.blocks[side][ctypes.addressof(block)] = block
        return OK, ctypes.addressof(block)

    def cudaFree(self, address: int) -> tuple[Any, ...]:
        del self.blocks["device"][address]
        return (OK,)

    def cudaFreeHost(self, address: int) -> tuple[Any, ...]:
        del self.blocks["host"][address]
        return (OK,)

    def cudaMemGetInfo(self) -> tuple[Any, ...]:
        return OK, self.memory, self.memory

    def cudaMemcpyAsync(self, to: int, source: int, size: int, kind: Any, stream: int) -> tuple[Any, ...]:
        sides = ("device", "host") if kind == TO_DEVICE else ("host", "device")
        for address, side in zip((to, source), sides):
            assert size <= ctypes.sizeof(self.blocks[side][address])
        if kind == TO_DEVICE:
            self.sent.append(size)
        self.do(lambda: ctypes.memmove(to, source, size) and None)
        return (OK,)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, ...]:
        return OK, STREAM

    def cudaStreamSynchronize(self, stream: int) -> tuple[Any, ...]:
        assert self._recording is None
        return (OK,)

    def cudaStreamDestroy(self, stream: int) -> tuple[Any, ...]:
        return (OK,)

    def cudaStreamBeginCapture(self, stream: int, mode: Any) -> tuple[Any, ...]:
        self._recording = []
        return (OK,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[Any, ...]:
        recorded, self._recording = self._recording, None
        return OK, recorded

    def cudaGraphInstantiate(self, graph: Any, flags: int) -> tuple[Any, ...]:
        return OK, list(graph)

    def cudaGraphDestroy(self, graph: Any) -> tuple[Any, ...]:
        return (OK,)

    def cudaGraphExecDestroy(self, graph: Any) -> tuple[Any, ...]:
        graph.clear()
        return (OK,)

    def cudaGraphLaunch(self, graph: list[Callable[[], None]], stream: int) -> tuple[Any, ...]:
        self.launches += 1
        for work in graph:
            work()
        return (OK,)


class StandInEngine:
    """An engine and its context in one, which reads and writes at the addresses that it was told."""

    def __init__(self, graph: Path, gpu: StandInCuda) -> None:
        self._session, self._gpu = onnxruntime.InferenceSession(str(graph)), gpu
        self._specs = {spec.name: spec for spec in (*self._session.get_inputs(), *self._session.get_outputs())}
        self._inputs = [spec.name for spec in self._session.get_inputs()]
        self._lengths: dict[str, int] = {}
        self._addresses: dict[str, int] = {}
        self.num_io_tensors = len(self._specs)

    def get_tensor_name(self, index: int) -> str:
        return list(self._specs)[index]

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name in self._inputs else "output"

    def get_tensor_dtype(self, name: str) -> type:
        return {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}[self._specs[name].type]

    def create_execution_context(self) -> StandInEngine:
        return self

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._lengths.update({side: n for side, n in zip(self._specs[name].shape, shape) if isinstance(side, str)})
        return True

    def get_tensor_shape(self, name: str) -> list[int]:
        return [self._lengths[side] if isinstance(side, str) else side for side in self._specs[name].shape]

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert address in self._gpu.blocks["device"]
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == STREAM
        self._gpu.do(self._run)
        return True

    def _run(self) -> None:
        names = [name for name in self._specs if name not in self._inputs]
        answers = self._session.run(names, {name: self._at(name) for name in self._inputs})
        for name, answer in zip(names, answers):
            self._at(name)[...] = answer

    def _at(self, name: str) -> Any:
        shape, dtype = self.get_tensor_shape(name), np.dtype(self.get_tensor_dtype(name))
        raw = (ctypes.c_ubyte * (int(np.prod(shape)) * dtype.itemsize)).from_address(self._addresses[name])
        return np.ndarray(shape, dtype, memoryview(raw))


def stand_in_library(engine: StandInEngine | None, real: Any) -> Any:
    """The installed package's names, and a runtime that deserialises every plan to this engine."""
    trt = SimpleNamespace(
        nptype=lambda dtype: dtype,
        TensorIOMode=SimpleNamespace(INPUT="input"),
        Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=lambda plan: engine),
    )
    return SimpleNamespace(
        package=real.package, version=real.version, trt=trt, logger=None, complaint=lambda: "out of memory, it says"
    )
