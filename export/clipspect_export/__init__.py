"""The exporter: a method and CLIP weights to a verified bundle. The one place where torch is imported.

Names are imported on first use: the command line reads this package's options without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipspect_export.exporter import STAGES as STAGES
    from clipspect_export.exporter import export_bundle as export_bundle
    from clipspect_export.methods.registry import METHODS as METHODS

__all__ = ["METHODS", "STAGES", "export_bundle"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'clipspect_export' has no attribute {name!r}")
    from clipspect_export import exporter
    from clipspect_export.methods import registry

    return getattr(registry if name == "METHODS" else exporter, name)
