"""Where engines that took minutes to build are kept: one folder a user, in it one for each kind of engine."""

from __future__ import annotations

import os
from pathlib import Path

from clipspect.base.errors import BackendError
from clipspect.engines.onnx_file import external_locations

VARIABLE = "CLIPSPECT_CACHE"  # names the folder where no option does


def cache_folder(engine: str, cache: str | os.PathLike[str] | None = None) -> Path:
    """Below `cache`, else below $CLIPSPECT_CACHE, else below clipspect's in the user's cache folder. Makes nothing.

    Raises BackendError for a user without a home folder.
    """
    root = cache or os.environ.get(VARIABLE)
    try:
        if root:
            return Path(root).expanduser() / engine
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipspect" / engine
    except RuntimeError as error:
        raise BackendError(f"no folder to keep engines in ({error}): name one in {VARIABLE}") from error


def files_of(graph: Path) -> list[Path]:
    """The ONNX file and those that hold its weights. Raises ValueError for what is no model, OSError."""
    return [graph, *(graph.parent / name for name in sorted(external_locations(graph.read_bytes())))]
