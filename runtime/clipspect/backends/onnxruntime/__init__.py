"""onnxruntime on the CPU."""

from clipspect.backends.onnxruntime.session import Options as Options
from clipspect.backends.onnxruntime.session import open_session as open_session
from clipspect.backends.onnxruntime.session import probe as probe
