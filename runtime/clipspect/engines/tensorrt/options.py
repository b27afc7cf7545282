"""Settings of the TensorRT backend."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.base.errors import BackendError
from clipspect.engines.engine import require_count, require_switch

CUDA = "cuda"
TENSORRT, TENSORRT_RTX = "tensorrt", "tensorrt_rtx"  # Python modules with one interface
PACKAGES = (TENSORRT, TENSORRT_RTX)  # the preferred first
TF32 = "tf32"
PRECISIONS = ("fp32", "fp16", TF32)


@dataclass(frozen=True)
class TensorRtOptions:
    """None means the default that is given here."""

    device: str = CUDA  # NVIDIA's GPU, the first that CUDA_VISIBLE_DEVICES leaves; there is no other device
    threads: int | None = None  # that prepare frames; the engine has no use for them
    precision: str | None = None  # of the matrix products; default: the graph's own. "tf32" for an fp32 graph rounds
    # their inputs to 10 bits of mantissa, which `clipspect verify` shows; it is an engine of its own
    package: str | None = None  # "tensorrt" or "tensorrt_rtx"; default: the first of the two that is installed
    cuda_graph: bool = False  # record a run's kernels and replay them for as long as the shapes stay the same
    cache: str | None = (
        None  # the folder of caches; default: $CLIPSPECT_CACHE, or clipspect's in the user's cache folder
    )

    def __post_init__(self) -> None:
        if self.device != CUDA:
            raise BackendError(f"device: tensorrt has {CUDA} only, found {self.device!r}")
        require_count("threads", self.threads)
        if self.precision not in (None, *PRECISIONS):
            raise BackendError(f"precision: expected one of {', '.join(PRECISIONS)}, found {self.precision!r}")
        if self.package not in (None, *PACKAGES):
            raise BackendError(f"package: expected one of {', '.join(PACKAGES)}, found {self.package!r}")
        require_switch("cuda_graph", self.cuda_graph)

    def precision_of(self, graph_precision: str) -> str:
        """What an engine of a graph computes in. Raises BackendError for what the graph cannot give."""
        wanted = self.precision or graph_precision
        if wanted != graph_precision and (wanted, graph_precision) != (TF32, "fp32"):
            raise BackendError(
                f"precision: the graph is {graph_precision}, found {wanted!r}: leave it out, or export the bundle with "
                f"--precision {'fp32' if wanted == TF32 else wanted}"
            )
        return wanted
