"""Where engines that took minutes to build are kept: one folder a user, in it one for each kind of engine."""

from __future__ import annotations

import os
from pathlib import Path

from clipspect.engines.onnx_file import external_locations

VARIABLE = "CLIPSPECT_CACHE"  # names the folder where no option does


def cache_folder(engine: str, cache: str | os.PathLike[str] | None = None) -> Path:
    """Below `cache`, else below $CLIPSPECT_CACHE, else below clipspect's in the user's cache folder. Makes nothing."""
    root = cache or os.environ.get(VARIABLE)
    if root:
        return Path(root).expanduser() / engine
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipspect" / engine


def files_of(graph: Path) -> list[Path]:
    """The ONNX file and those that hold its weights. Raises ValueError for what is no model, OSError."""
    return [graph, *(graph.parent / name for name in sorted(external_locations(graph.read_bytes())))]
