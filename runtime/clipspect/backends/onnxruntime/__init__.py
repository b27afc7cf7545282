"""onnxruntime on the CPU, and on NVIDIA GPUs through its CUDA and TensorRT providers."""

from clipspect.backends.onnxruntime.options import Options as Options
from clipspect.backends.onnxruntime.session import devices as devices
from clipspect.backends.onnxruntime.session import open_session as open_session
from clipspect.backends.onnxruntime.session import probe as probe
