"""What the extra `ray` brings, imported on first use: one line where it is missing, and none of Ray's own chatter."""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import sys
from typing import Any

from clipspect.base.errors import ClipspectError
from clipspect.base.installation import pip_install

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to Ray's makers; processes that we start inherit it
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as it will be: a worker without a GPU is not told so by the variable
}


def require_ray() -> Any:
    """The module `ray`, with `ray.data` imported, and quiet. Raises ClipspectError where it is not installed."""
    os.environ.update(_QUIET)
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.data")
    except ImportError as error:
        raise ClipspectError(f"archives need Ray Data ({error}): {pip_install('ray')}") from error
    log = logging.getLogger("ray.data")
    for handler in [handler for handler in log.handlers if isinstance(handler, logging.StreamHandler)]:
        log.removeHandler(handler)
    return ray


def be_quiet_at_exit() -> None:
    """Ray's copy of colorama would end a terminal's output with an escape sequence, which would be seen."""
    if (colorama := sys.modules.get("colorama")) is not None:
        atexit.unregister(colorama.initialise.reset_all)
