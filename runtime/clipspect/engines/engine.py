"""What an engine is to the rest of the house: a row of the registry, and a backend with a few verbs."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import numpy.typing as npt

from clipspect.base.errors import BackendError

CPU = "cpu"
_MOST_CHARACTERS = 300  # of an engine's own words in a message

Tensors = Mapping[str, npt.NDArray[Any]]


class Backend(Protocol):
    """A graph loaded into an engine, on one device. Close it, or use it as a context manager.

    One run at a time: a backend is not shared between threads without a lock.
    """

    name: str  # of the engine
    device: str  # "cpu", or what the engine calls the other devices
    precision: str  # of the matrix products: "fp32", "bf16", "fp16" or "int8"
    reason: str  # why it was taken, where it was not named; else empty
    most_images: int | None  # of a run; None: any number

    def run(self, inputs: Tensors) -> dict[str, npt.NDArray[Any]]:
        """The graph's outputs by name, arrays of the caller's own.

        An array that is read-only is taken for a constant: where the device has memory of its own, it travels there
        once and not with every run. Raises BackendError.
        """

    def profile(self) -> dict[str, float]:
        """Milliseconds by kind of operator, of engines whose Options have `profile`. Raises BackendError without it."""

    def close(self) -> None: ...

    def __enter__(self) -> Backend: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


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


def one_line(error: BaseException) -> str:
    """An engine's message without its line breaks, cut where it rambles."""
    return " ".join(str(error).split())[:_MOST_CHARACTERS]


def require_count(name: str, value: int | None) -> None:
    """Raises BackendError unless an option is a whole number from 1, or None for the engine's default."""
    wrong = isinstance(value, bool) or not isinstance(value, int) or value < 1
    if value is not None and wrong:
        raise BackendError(f"{name}: expected a number from 1, found {value!r}")


def require_switch(name: str, value: bool | None) -> None:
    """Raises BackendError unless an option is True, False, or None for the default."""
    if value is not None and not isinstance(value, bool):
        raise BackendError(f"{name}: expected True or False, found {value!r}")
