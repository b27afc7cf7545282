"""Whether a recipe is scored by windows on demand: because it is asked for, or because a region of interest saves."""

from __future__ import annotations

from clipspect.base.errors import BackendError
from clipspect.bundle.bundle import Bundle
from clipspect.engines import CPU, engine_named
from clipspect.engines.graph import BOTH, PHOTOS
from clipspect.recipes.recipe import Recipe


def wants_windows(bundle: Bundle, recipe: Recipe, backend: str | None, device: str, asked: bool | None) -> bool:
    """`asked`: always, never, or, None, where the recipe asks for it or saves by it.

    Raises BackendError where it is asked for and cannot be.
    """
    if not asked:
        return False
    if why_not := _fault(bundle, recipe, backend, device):
        raise BackendError(f"recipe {recipe.name!r}: windows on demand: {why_not}")
    return True


def _fault(bundle: Bundle, recipe: Recipe, backend: str | None, device: str) -> str:
    """Why there are none; empty where there are."""
    graph = bundle.manifest.windows
    if recipe.judge == PHOTOS:
        return "photos alone judge it, in one pass over the whole image: judge by words or both"
    if graph is None:
        return f"{bundle.path} has no graph for that: export it with --windows"
    if recipe.judge == BOTH and not graph.compares:
        return f"that graph of {bundle.path} compares with no references: export it with --few-shot --windows"
    if device != CPU or (backend is not None and engine_named(backend).compiled):
        return f"they need an engine on the CPU, found {backend or 'an engine'} on {device}: take the device cpu"
    return ""
