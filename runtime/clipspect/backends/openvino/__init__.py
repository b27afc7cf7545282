"""OpenVINO on the CPU and on Intel's GPUs."""

from clipspect.backends.openvino.options import Options as Options
from clipspect.backends.openvino.session import devices as devices
from clipspect.backends.openvino.session import open_session as open_session
from clipspect.backends.openvino.session import probe as probe
