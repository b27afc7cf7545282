"""Engines' telemetry, off before any engine is imported: a box on a line writes no device id and calls nobody.

onnxruntime from 1.29 writes a device id and a database into the user's cache folder when it is imported, and looks its
maker's collector up some seconds later; `disable_telemetry_events` comes too late for both. OpenVINO's Python package
writes a client id below ~/intel and sends "import" to Google Analytics when it is imported. Both are asked in the way
that they offer: an environment variable, and the optional package `openvino_telemetry`, which may be missing.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import cast

_ONNXRUNTIME = "ORT_DISABLE_TELEMETRY"  # read when onnxruntime is loaded, once; processes that we start inherit it
_OPENVINO = "openvino_telemetry"  # without it OpenVINO takes its own stand-in, which does nothing


def switch_off() -> None:
    """Whatever the environment says. It changes nothing for an engine that the process has imported already."""
    os.environ[_ONNXRUNTIME] = "1"
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    modules.setdefault(_OPENVINO, None)  # None: Python's word for a module that must not be found
