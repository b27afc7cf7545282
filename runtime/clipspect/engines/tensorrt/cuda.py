"""The little of CUDA that an engine needs: which GPU this is, and memory on both of its sides.

Written against cuda.bindings.runtime, each of whose functions answers a tuple that begins with its status.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from cuda.bindings import runtime

from clipspect.base.errors import BackendError

_DRIVER = "sys/module/nvidia/version"  # of the kernel's module


@dataclass(frozen=True)
class Device:
    """The GPU that an engine is built on and for."""

    name: str
    compute_capability: str  # e.g. "8.7"
    driver: str  # its version, and the newest CUDA that it knows


def check(answer: tuple[Any, ...]) -> Any:
    """What a CUDA function answered besides its status, None where there is nothing. Raises BackendError."""
    status, *values = answer
    if status != runtime.cudaError_t.cudaSuccess:
        raise BackendError(_words(status))
    return values[0] if len(values) == 1 else tuple(values) or None


def device(root: Path = Path("/")) -> Device:
    """The first GPU that CUDA shows. Raises BackendError where there is none."""
    try:
        check(runtime.cudaGetDeviceCount())
        found = check(runtime.cudaGetDeviceProperties(0))
    except BackendError as error:
        raise BackendError(f"no NVIDIA GPU can be used here ({error})") from error
    name = found.name.decode(errors="replace").rstrip("\0")
    return Device(name, f"{found.major}.{found.minor}", _driver(root))


def cuda_version() -> str:
    """Of the CUDA runtime that this Python has, e.g. "12.6"."""
    return _dotted(check(runtime.cudaRuntimeGetVersion()))


def memory_words() -> str:
    """How much of the GPU's memory is free, for an error's message."""
    status, free, total = runtime.cudaMemGetInfo()
    if status != runtime.cudaError_t.cudaSuccess:
        return "how much memory the GPU has free is unknown"
    return f"{free / 1e6:.0f} of the GPU's {total / 1e6:.0f} MB are free"


class Buffer:
    """Page-locked host memory and as much of the device's, for one tensor. Grows, and keeps what it has."""

    def __init__(self) -> None:
        self.device = 0  # addresses; 0 while there is nothing
        self._host = 0
        self._capacity = 0

    def reserve(self, size: int) -> None:
        """At least `size` bytes on both sides; what was in them is lost where they grow. Raises BackendError."""
        if size <= self._capacity:
            return
        self.free()
        try:
            self.device = int(check(runtime.cudaMalloc(size)))
            self._host = int(check(runtime.cudaHostAlloc(size, runtime.cudaHostAllocDefault)))
        except BackendError:
            self.free()
            raise
        self._capacity = size

    def view(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """The host's side as an array. Good until the buffer grows or is freed."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        raw = (ctypes.c_ubyte * size).from_address(self._host)
        view: npt.NDArray[Any] = np.ndarray(shape, np.dtype(dtype), memoryview(raw))
        return view

    def to_device(self, size: int, stream: Any) -> None:
        kind = runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        check(runtime.cudaMemcpyAsync(self.device, self._host, size, kind, stream))

    def to_host(self, size: int, stream: Any) -> None:
        kind = runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        check(runtime.cudaMemcpyAsync(self._host, self.device, size, kind, stream))

    def free(self) -> None:
        if self.device:
            runtime.cudaFree(self.device)
        if self._host:
            runtime.cudaFreeHost(self._host)
        self.device = self._host = self._capacity = 0


def _driver(root: Path) -> str:
    newest = f"CUDA {_dotted(check(runtime.cudaDriverGetVersion()))}"
    try:
        return f"{(root / _DRIVER).read_text(encoding='ascii', errors='replace').strip()}, {newest}"
    except OSError:  # a Jetson's is part of its kernel
        return newest


def _dotted(version: int) -> str:
    """CUDA's 12060 is 12.6."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _words(status: Any) -> str:
    errors = runtime.cudaError_t
    if status == errors.cudaErrorMemoryAllocation:
        return f"the GPU's memory is too small: {memory_words()}; close what else uses it, or compile with less --batch"
    if status == errors.cudaErrorInsufficientDriver:
        return (
            f"no driver, or one older than CUDA {cuda_version()}: install NVIDIA's driver, or a cuda-bindings of the "
            "driver's CUDA"
        )
    _, text = runtime.cudaGetErrorString(status)
    return f"CUDA: {text.decode(errors='replace') if text else status}"
