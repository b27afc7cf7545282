"""TensorRT and TensorRT-RTX, driven directly: engines that `clipspect compile` built, on NVIDIA's GPU.

Building and all that surrounds it is tested with TensorRT-RTX, which needs no GPU for that. What runs on a GPU
(`execution`, and `cuda` but for its refusals) has been run with stand-ins only, never on one.
"""

from clipspect.engines.tensorrt.backend import devices as devices
from clipspect.engines.tensorrt.backend import open_built as open_built
from clipspect.engines.tensorrt.backend import open_session as open_session
from clipspect.engines.tensorrt.backend import probe as probe
from clipspect.engines.tensorrt.compile import compile_graph as compile_graph
from clipspect.engines.tensorrt.options import TensorRtOptions as Options
from clipspect.engines.tensorrt.ranges import Sizes as Sizes
from clipspect.engines.tensorrt.ranges import ranges_of as ranges_of

__all__ = ["Options", "Sizes", "compile_graph", "devices", "open_built", "open_session", "probe", "ranges_of"]
