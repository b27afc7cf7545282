"""Loading: a bundle and a recipe become an inspector over an engine."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

from clipspect.base.errors import BackendError, ClipspectError
from clipspect.bundle.bundle import Bundle
from clipspect.host.system import usable_cores
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.shared_engine import Retry, SharedEngine
from clipspect.recipes.guard import calibrating_engine
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.shelf import recipe_for

_MOST_WORKERS = 8  # threads that prepare frames; each can hold a frame in full size


def load(
    bundle: str | os.PathLike[str] | Bundle,
    recipe: str | os.PathLike[str] | Recipe | None = None,
    backend: str | None = None,
    *,
    map_limit: float | None = None,
    verdicts: bool = True,
    extras: Sequence[str] = (),
    explain: bool = False,
    windows: bool | None = None,
    retry: Retry | None = None,
    require_signature: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Inspector:
    """Verify a bundle and load it into an engine; `"demo"` is the embedded bundle. One that is open is not read again.

    `recipe` is a name, the path of a file anywhere (it ends in .safetensors), or a recipe in memory as
    `make_recipe` returns it; without one: the bundle's only one. Without a backend, device and precision: those
    that calibrated the recipe's limits, if they open here, else the fastest engine by real runs; `.backend` and
    `.reason` say which and why, and to name one saves their time. `map_limit` is the anomaly map's value over which
    a pixel belongs to a region; its default is the recipe's limit on the map, else the middle of the range of the
    method's map (0.5 for WinCLIP's probabilities: the anomalous state wins). In another engine or precision than
    their own, calibrated limits are widened, or refused where nothing is known of the difference (docs/limits.md).
    With `verdicts=False` nothing is judged. `extras` are further outputs of the graph that answers keep. With
    `explain=True` every result has its `explanation`: why its regions were raised (docs/reasons.md). `windows`:
    whether windows are encoded on demand, on the CPU, with a bundle that was exported so; by default where the recipe
    asks for it or saves by it, and nothing is to be explained. `retry` is for engines on a server (docs/serving.md): it
    is called with the error when the server does not answer, and says whether to try again; without it the error is
    raised. `require_signature` is the file of a public key (PEM, ed25519) that must have signed the bundle and the
    recipe's file (docs/signatures.md). `options` are the engine's, e.g. threads=4 or precision="int8";
    `force_precision=True` takes one that did not pass at export. On the CPU, the first frame is the engine's first run.
    Raises BundleError, RecipeError, SignatureError or BackendError.
    """
    if map_limit is not None and not math.isfinite(map_limit):
        raise ClipspectError(f"map_limit: expected a finite number, found {map_limit}")
    if require_signature is not None and isinstance(bundle, Bundle):  # with whatever key, or with none
        raise ClipspectError("require_signature: the bundle is open already: give it to Bundle.open")
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle, require_signature=require_signature)
    chosen = recipe_for(opened, recipe)
    if explain:
        if windows or chosen.windows is not None:
            raise ClipspectError(
                f"recipe {chosen.name!r} encodes windows on demand, which are not all there to explain a result: leave "
                "explain (--explain) out, or take a recipe that encodes all of them"
            )
        windows = False
    free = backend is None and verdicts and not options.keys() & {"device", "precision"}
    if free:
        engine = _open_free(opened, chosen, options, windows)
    else:
        engine = SharedEngine(opened, chosen, backend, options, windows)
    if retry is not None:
        engine.retry = retry
    workers = workers_for(options)
    engine.hold()  # until an inspector does: where none comes about, it closes
    try:
        return Inspector(
            engine, chosen, map_limit=map_limit, verdicts=verdicts, extras=extras, explain=explain, workers=workers
        )
    finally:
        engine.release()


def workers_for(options: dict[str, Any]) -> int:
    """How many threads prepare frames beside an engine with these options."""
    return min(options.get("threads") or usable_cores(), _MOST_WORKERS)


def _open_free(bundle: Bundle, recipe: Recipe, options: dict[str, Any], windows: bool | None) -> SharedEngine:
    """In the engine that the recipe's limits belong to, if it opens here, else in the fastest, which says why."""
    backend, own_options = calibrating_engine(recipe, bundle)
    try:
        return SharedEngine(bundle, recipe, backend, {**options, **own_options}, windows)
    except BackendError as error:
        if backend is None:
            raise
        engine = SharedEngine(bundle, recipe, None, options, windows)
        reason = f"the limits are of {backend} on {own_options['device']}, which does not open here ({error})"
        engine.first.reason = "; ".join(filter(None, [reason, engine.first.reason]))
        return engine
