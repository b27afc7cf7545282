"""The TensorRT that is installed, under either of its names, kept quiet."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import threading
from typing import Any

from clipspect.base.errors import BackendError
from clipspect.base.installation import pip_install
from clipspect.engines.backend import one_line
from clipspect.engines.tensorrt.options import PACKAGES


class Library:
    """The module, and what it last complained of. One for each package: TensorRT keeps its first logger for good."""

    def __init__(self, package: str, module: Any) -> None:
        self.package, self.trt = package, module
        self.logger = _logger(module)

    @property
    def version(self) -> str:
        return str(self.trt.__version__)

    def complaint(self) -> str:
        """Its errors since the last call, in one line."""
        return one_line(RuntimeError("; ".join(self.logger.take()))) or "without a word"


def installed() -> list[str]:
    """The packages that can be imported, the preferred first."""
    return [package for package in PACKAGES if importlib.util.find_spec(package) is not None]


def library(package: str | None = None) -> Library:
    """The named package, else the first that is installed. Raises BackendError."""
    found = installed()
    chosen = package or next(iter(found), None)
    if chosen is None or chosen not in found:
        raise BackendError(
            f"{package or ' or '.join(PACKAGES)} is not installed (there is: {', '.join(found) or 'none'}): "
            f"{pip_install('tensorrt')}, or for a desktop {pip_install('tensorrt-rtx')}"
        )
    return _loaded(chosen)


@functools.cache
def _loaded(package: str) -> Library:
    try:
        return Library(package, importlib.import_module(package))
    except (ImportError, OSError, RuntimeError) as error:
        raise BackendError(f"{package} is installed but does not load ({one_line(error)}): install it again") from error


def _logger(trt: Any) -> Any:
    """Keeps errors for our own messages; TensorRT's information and warnings help nobody on a line."""

    class Errors(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._lines: list[str] = []
            self._lock = threading.Lock()  # builders call from threads of their own

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                with self._lock:
                    self._lines.append(message)

        def take(self) -> list[str]:
            with self._lock:
                taken, self._lines = self._lines, []
            return taken

    return Errors()
