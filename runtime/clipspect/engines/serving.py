"""What a bundle's graphs are called on a Triton server, and what their configuration says of them.

`clipspect triton` writes it, the engine `triton` asks for it: neither trusts a name alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.engines.engine import CPU

ONNXRUNTIME, TENSORRT, CUDA = "onnxruntime", "tensorrt", "cuda"  # engines and a device of the server
# The version of a model by what computes it, as its device is called here. A request names the version: a server that
# was given another engine meanwhile does not have it.
VERSIONS = {CPU: 1, CUDA: 2, TENSORRT: 3}
ENGINES = {CPU: ONNXRUNTIME, CUDA: ONNXRUNTIME, TENSORRT: TENSORRT}  # Triton's backend
FILES = {ONNXRUNTIME: "model.onnx", TENSORRT: "model.plan"}  # that each reads
KINDS = {CPU: "KIND_CPU", CUDA: "KIND_GPU", TENSORRT: "KIND_GPU"}  # of instances
TYPES = {
    "uint8": "UINT8",
    "int64": "INT64",
    "float32": "FP32",
}  # of tensors in the protocol; TYPE_... in configurations
# keys of the parameters in a configuration
BUNDLE, ROLE, DEVICE, PRECISION, MOST_IMAGES = (
    f"clipspect_{name}" for name in ("bundle", "role", "device", "precision", "most_images")
)
ENCODER, HEAD = "encoder", "head"  # what the names of a graph's two parts end in
FOR_HEAD = "_for_head"  # what the name of a tensor ends in that is one of the graph's outputs, too
_SHORT = 12  # of a digest in a name


@dataclass(frozen=True)
class Served:
    """A graph on the server."""

    bundle: str  # digest
    role: str
    device: str  # of VERSIONS
    precision: str
    most_images: int  # of a request

    @property
    def name(self) -> str:
        return model_name(self.bundle, self.role)

    @property
    def version(self) -> int:
        return VERSIONS[self.device]

    @property
    def parameters(self) -> dict[str, str]:
        """Of the model's configuration."""
        said = {BUNDLE: self.bundle, ROLE: self.role, DEVICE: self.device, PRECISION: self.precision}
        return {**said, MOST_IMAGES: str(self.most_images)}


def model_name(bundle: str, role: str) -> str:
    """A bundle that was exported again has other models: a server can have both."""
    return f"clipspect-{bundle[:_SHORT]}-{role}"
