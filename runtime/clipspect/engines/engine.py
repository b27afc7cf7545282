"""The registry of engines: a row each, what it needs, and its folder's module, imported on first use."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any

from clipspect.base.errors import BackendError
from clipspect.engines.backend import one_line

CPU = "cpu"


@dataclass(frozen=True)
class Probe:
    """What one device of an engine answered to a real run."""

    device: str
    works: bool
    detail: str  # the time of the run, or why there was none


@dataclass(frozen=True)
class Engine:
    """A row of the registry."""

    name: str
    packages: tuple[str, ...]  # of which one must be importable, the preferred first
    extra: str  # of the distribution: pip install "clipspect[extra]"
    compiled: bool = False  # whether it loads only what `clipspect compile` built before

    @property
    def package(self) -> str:
        """The one that is imported: the first that is installed."""
        return next((name for name in self.packages if importlib.util.find_spec(name) is not None), self.packages[0])

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None

    @property
    def remedy(self) -> str:
        return f'pip install "clipspect[{self.extra}]"'

    def module(self) -> Any:
        """Import the engine and its folder here. Raises BackendError when the engine's own libraries are missing."""
        if not self.installed:
            raise BackendError(f"the {self.name} backend is not installed: {self.remedy}")
        try:
            importlib.import_module(self.package)
            return importlib.import_module(f"clipspect.engines.{self.name}")
        except (ImportError, OSError) as error:
            raise BackendError(
                f"{self.name} is installed but does not load ({one_line(error)}): {self.remedy}"
            ) from error


ENGINES = (  # in the order in which they are tried: what is quickest to open again comes first
    Engine(name="onnxruntime", packages=("onnxruntime",), extra="cpu"),
    Engine(name="openvino", packages=("openvino",), extra="openvino"),
    Engine(name="tensorrt", packages=("tensorrt", "tensorrt_rtx"), extra="tensorrt", compiled=True),
)


def require_count(name: str, value: int | None) -> None:
    """Raises BackendError unless an option is a whole number from 1, or None for the engine's default."""
    wrong = isinstance(value, bool) or not isinstance(value, int) or value < 1
    if value is not None and wrong:
        raise BackendError(f"{name}: expected a number from 1, found {value!r}")


def require_switch(name: str, value: bool | None) -> None:
    """Raises BackendError unless an option is True, False, or None for the default."""
    if value is not None and not isinstance(value, bool):
        raise BackendError(f"{name}: expected True or False, found {value!r}")
