"""OpenVINO on the CPU and on Intel's GPUs."""

from clipspect.engines.openvino.options import Options as Options
from clipspect.engines.openvino.session import devices as devices
from clipspect.engines.openvino.session import open_session as open_session
from clipspect.engines.openvino.session import probe as probe
