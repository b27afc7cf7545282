"""clipspect: zero-shot and few-shot visual inspection with CLIP, compiled for the edge.

    inspector = clipspect.load("nuts.bundle", recipe="metal nut")
    result = inspector.inspect("part.png")
    result.score, result.anomaly_map, result.verdict, result.regions, result.timings

Names are imported on first use: `import clipspect` loads no engine.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipspect.bundle import Bundle as Bundle
    from clipspect.errors import BackendError as BackendError
    from clipspect.errors import BundleError as BundleError
    from clipspect.errors import ClipspectError as ClipspectError
    from clipspect.errors import DatasetError as DatasetError
    from clipspect.errors import ExportError as ExportError
    from clipspect.errors import ImageError as ImageError
    from clipspect.errors import RecipeError as RecipeError
    from clipspect.inspector import Inspector as Inspector
    from clipspect.inspector import load as load
    from clipspect.regions import Region as Region
    from clipspect.result import Result as Result
    from clipspect.result import Timings as Timings

    __version__: str

_HOME = {
    "Bundle": "bundle",
    "BackendError": "errors",
    "BundleError": "errors",
    "ClipspectError": "errors",
    "DatasetError": "errors",
    "ExportError": "errors",
    "ImageError": "errors",
    "RecipeError": "errors",
    "Inspector": "inspector",
    "load": "inspector",
    "Region": "regions",
    "Result": "result",
    "Timings": "result",
}

__all__ = ["__version__", *_HOME]  # noqa: PLE0604, the names above


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from clipspect.version import __version__ as value
    elif name in _HOME:
        value = getattr(importlib.import_module(f"clipspect.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module 'clipspect' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
