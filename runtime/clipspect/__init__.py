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
    from clipspect.base.errors import BackendError as BackendError
    from clipspect.base.errors import BundleError as BundleError
    from clipspect.base.errors import ClipspectError as ClipspectError
    from clipspect.base.errors import DatasetError as DatasetError
    from clipspect.base.errors import ExportError as ExportError
    from clipspect.base.errors import ImageError as ImageError
    from clipspect.base.errors import RecipeError as RecipeError
    from clipspect.bundle.bundle import Bundle as Bundle
    from clipspect.inspection.inspector import Inspector as Inspector
    from clipspect.inspection.inspector import load as load
    from clipspect.inspection.regions import Region as Region
    from clipspect.inspection.result import Result as Result
    from clipspect.inspection.result import Timings as Timings

    __version__: str

_HOME = {
    "Bundle": "bundle.bundle",
    "BackendError": "base.errors",
    "BundleError": "base.errors",
    "ClipspectError": "base.errors",
    "DatasetError": "base.errors",
    "ExportError": "base.errors",
    "ImageError": "base.errors",
    "RecipeError": "base.errors",
    "Inspector": "inspection.inspector",
    "load": "inspection.inspector",
    "Region": "inspection.regions",
    "Result": "inspection.result",
    "Timings": "inspection.result",
}

__all__ = ["__version__", *_HOME]  # noqa: PLE0604, the names above


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from clipspect.base.version import __version__ as value
    elif name in _HOME:
        value = getattr(importlib.import_module(f"clipspect.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module 'clipspect' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
