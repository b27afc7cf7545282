"""Settings of the onnxruntime backend."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.base.errors import BackendError
from clipspect.engines.engine import CPU, require_count, require_switch

CUDA, TENSORRT = "cuda", "tensorrt"
DEVICES = (CPU, CUDA, TENSORRT)
PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class OnnxRuntimeOptions:
    """None means the default that is given here."""

    device: str = CPU  # or "cuda", or "tensorrt": NVIDIA's GPU through either of onnxruntime's providers
    threads: int | None = None  # that share one operator on the CPU; default: one per physical core,
    # and no more than a container's quota of CPU time
    precision: str | None = None  # of the matrix products: the graph's own, "fp32" or "fp16"; "int8" on the CPU, of a
    # bundle that has an int8 copy
    map_weights: bool | None = (
        None  # on the CPU: leave the weights in their file, mapped; default: where they are large, but not in int8
    )
    profile: bool = False  # on the CPU: time every operator, for `Backend.profile`; runs are a little slower
    cuda_graph: bool = False  # on "cuda": record the kernels once for each combination of input shapes, and replay them
    batch: int = 1  # on "tensorrt": the most images that a run will have; the engine is built for up to that many
    cache: str | None = None  # on "tensorrt": the folder of caches; default: $CLIPSPECT_CACHE, or the user's own

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise BackendError(f"device: onnxruntime has {', '.join(DEVICES)}, found {self.device!r}")
        if self.precision not in (None, *PRECISIONS):
            raise BackendError(
                f"precision: onnxruntime computes in that of the graph ({', '.join(PRECISIONS)}), found "
                f"{self.precision!r}: leave it out, or take openvino for bf16"
            )
        require_count("threads", self.threads)
        require_count("batch", self.batch)
        require_switch("map_weights", self.map_weights)
        require_switch("cuda_graph", self.cuda_graph)
        require_switch("profile", self.profile)
        if self.cuda_graph and self.device != CUDA:
            raise BackendError(f"cuda_graph: is for the device cuda, found {self.device}: leave it out, or add device")
