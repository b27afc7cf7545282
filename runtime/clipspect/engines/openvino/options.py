"""Settings of the OpenVINO backend."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clipspect.base.errors import BackendError
from clipspect.engines.engine import CPU, require_count, require_switch

# by clipspect's names: what OpenVINO calls the capability of a device, and the type that it then computes in
# (an int8 copy says itself which products are in int8; the others are in fp32)
PRECISIONS = {"fp32": ("FP32", "f32"), "bf16": ("BF16", "bf16"), "fp16": ("FP16", "f16"), "int8": ("INT8", "f32")}
_DEVICE = re.compile(r"cpu|gpu(\.\d+)?")  # AUTO, MULTI and HETERO change devices in silence


@dataclass(frozen=True)
class OpenVinoOptions:
    """None means the default that is given here."""

    device: str = CPU  # or "gpu", Intel's; "gpu.1" is the second
    threads: int | None = None  # that share one run on the CPU; default: one per physical core, and
    # no more than a container's quota of CPU time
    precision: str | None = None  # of the matrix products; default: the graph's own. "bf16" where the CPU has it,
    # "fp16" on a GPU: twice as fast, and other digits, which `clipspect verify` shows; "int8" on the CPU, of a bundle
    # that has an int8 copy
    profile: bool = False  # time every operator, for `Backend.profile`; runs are a little slower

    def __post_init__(self) -> None:
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            raise BackendError(f"device: openvino has cpu and gpu (gpu.1, ...), found {self.device!r}")
        require_count("threads", self.threads)
        require_switch("profile", self.profile)
        if self.precision not in (None, *PRECISIONS):
            raise BackendError(f"precision: expected one of {', '.join(PRECISIONS)}, found {self.precision!r}")
