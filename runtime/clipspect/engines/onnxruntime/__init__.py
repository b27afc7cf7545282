"""onnxruntime on the CPU, and on NVIDIA GPUs through its CUDA and TensorRT providers."""

from clipspect.engines.onnxruntime.options import Options as Options
from clipspect.engines.onnxruntime.session import devices as devices
from clipspect.engines.onnxruntime.session import open_session as open_session
from clipspect.engines.onnxruntime.session import probe as probe
