"""The registry of engines: a row each, what it needs, and its folder's module, imported on first use."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from clipspect.base.errors import BackendError, ClipspectError, UnavailableError
from clipspect.base.installation import pip_install
from clipspect.base.plug_ins import described
from clipspect.engines.backend import one_line

CPU = "cpu"
EXPERIMENTAL = "experimental: never run on a device"  # of devices that nobody has had under this code yet
GROUP = "clipspect.engines"  # entry points of other packages: an engine's name, and the module that is its folder


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
    extra: str  # of clipspect, that brings the package; empty for other packages' engines
    folder: str  # the module with the engine's verbs, imported on first use
    compiled: bool = False  # whether it loads only what `clipspect compile` built before
    experimental: tuple[str, ...] = ()  # devices
    distribution: str = "clipspect"  # that brings the engine
    remote: bool = False  # whether it computes on a server, which is taken by its name and address alone

    @property
    def package(self) -> str:
        """The one that is imported: the first that is installed."""
        return next((name for name in self.packages if importlib.util.find_spec(name) is not None), self.packages[0])

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None

    @property
    def version(self) -> str | None:
        """As the package's own module says it, which need not be a distribution of this Python; it is imported."""
        try:
            module = importlib.import_module(self.package)
            version: str = module.__version__ if hasattr(module, "__version__") else metadata.version(self.package)
        except (ImportError, OSError, metadata.PackageNotFoundError):
            return None
        return version.partition("-")[0]  # OpenVINO adds a commit

    @property
    def remedy(self) -> str:
        return pip_install(self.extra, self.distribution)

    @property
    def caveat(self) -> str:
        """What must be said of its devices; empty where there is nothing."""
        return f"{' and '.join(self.experimental)}: {EXPERIMENTAL}" if self.experimental else ""

    def module(self) -> Any:
        """Import the engine and its folder here. Raises UnavailableError, BackendError where it does not load."""
        if not self.installed:
            raise UnavailableError(f"the {self.name} backend is not installed: {self.remedy}")
        try:
            importlib.import_module(self.package)
            return importlib.import_module(self.folder)
        except Exception as error:  # another package can raise anything
            raise BackendError(
                f"{self.name} is installed but does not load ({one_line(error)}): {self.remedy}"
            ) from error

    @contextmanager
    def clear_errors(self) -> Iterator[None]:
        """What the engine's folder raises in the block, and is not one of our errors, becomes a BackendError."""
        try:
            yield
        except ClipspectError:
            raise
        except Exception as error:
            raise BackendError(f"the {self.name} backend failed ({described(error)})") from error


_OWN = (  # in the order in which they are tried: what is quickest to open again comes first
    Engine(
        name="onnxruntime",
        packages=("onnxruntime",),
        extra="cpu",
        folder="clipspect.engines.onnxruntime",
        experimental=("cuda", "tensorrt"),
    ),
    Engine(
        name="openvino",
        packages=("openvino",),
        extra="openvino",
        folder="clipspect.engines.openvino",
        experimental=("gpu",),
    ),
    Engine(
        name="tensorrt",
        packages=("tensorrt", "tensorrt_rtx"),
        extra="tensorrt",
        folder="clipspect.engines.tensorrt",
        compiled=True,
        experimental=("cuda",),
    ),
    Engine(
        name="triton",
        packages=("tritonclient",),
        extra="triton",
        folder="clipspect.engines.triton",
        experimental=("cuda", "tensorrt"),
        remote=True,
    ),
)


@functools.cache
def registry() -> tuple[Engine, ...]:
    """The registry: our own rows, then those of other packages, which can add engines and replace none of ours.

    Nothing of any engine is imported.
    """
    own = {engine.name for engine in _OWN}
    others = [
        Engine(
            name=entry.name,
            packages=(entry.module.partition(".")[0],),
            extra="",
            distribution=entry.dist.name if entry.dist is not None else entry.module,
            folder=entry.module,
        )
        for entry in metadata.entry_points(group=GROUP)
        if entry.name not in own
    ]
    return (*_OWN, *others)


def engine_named(name: str) -> Engine:
    """Raises BackendError for a name that no engine has."""
    for engine in registry():
        if engine.name == name:
            return engine
    raise BackendError(f"no backend {name!r}; there are: {', '.join(engine.name for engine in registry())}")


def require_count(name: str, value: int | None) -> None:
    """Raises BackendError unless an option is a whole number from 1, or None for the engine's default."""
    wrong = isinstance(value, bool) or not isinstance(value, int) or value < 1
    if value is not None and wrong:
        raise BackendError(f"{name}: expected a number from 1, found {value!r}")


def require_switch(name: str, value: bool | None) -> None:
    """Raises BackendError unless an option is True, False, or None for the default."""
    if value is not None and not isinstance(value, bool):
        raise BackendError(f"{name}: expected True or False, found {value!r}")
