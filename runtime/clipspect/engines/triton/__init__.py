"""A Triton server that has the bundle's graphs, over gRPC: what `clipspect triton` wrote, and nothing else."""

from clipspect.engines.triton.backend import devices as devices
from clipspect.engines.triton.backend import open_session as open_session
from clipspect.engines.triton.backend import probe as probe
from clipspect.engines.triton.options import TritonOptions as Options

__all__ = ["Options", "devices", "open_session", "probe"]
