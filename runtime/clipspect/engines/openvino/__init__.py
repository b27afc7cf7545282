"""OpenVINO on the CPU and on Intel's GPUs."""

from clipspect.engines.openvino.backend import devices as devices
from clipspect.engines.openvino.backend import open_session as open_session
from clipspect.engines.openvino.backend import probe as probe
from clipspect.engines.openvino.options import OpenVinoOptions as Options

__all__ = ["Options", "devices", "open_session", "probe"]
