"""onnxruntime on the CPU, and on NVIDIA GPUs through its CUDA and TensorRT providers."""

from clipspect.engines.onnxruntime.backend import devices as devices
from clipspect.engines.onnxruntime.backend import open_session as open_session
from clipspect.engines.onnxruntime.backend import probe as probe
from clipspect.engines.onnxruntime.options import OnnxRuntimeOptions as Options

__all__ = ["Options", "devices", "open_session", "probe"]
