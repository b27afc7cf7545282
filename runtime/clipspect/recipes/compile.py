"""Engines that are built before they can score: those of a bundle's graphs, compiled and listed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipspect.base.errors import BackendError, BundleError
from clipspect.base.progress import Progress, quiet
from clipspect.bundle.bundle import Bundle
from clipspect.engines import registry
from clipspect.engines.graph import BOTH, PHOTOS, WORDS, Graph
from clipspect.recipes.shelf import open_recipe, recipe_names

if TYPE_CHECKING:
    from clipspect.engines.tensorrt.manifest import EngineManifest

ZERO_SHOT, FEW_SHOT, MEMORY, TEXT = "zero-shot", "few-shot", "memory", "text"
GRAPHS = (ZERO_SHOT, FEW_SHOT, MEMORY, TEXT)


@dataclass(frozen=True)
class CompiledGraph:
    """An engine of one of the bundle's graphs."""

    graph: str  # one of GRAPHS
    built: bool  # or found, and in order
    path: str  # of the engine's file
    engine: EngineManifest


def compile_bundle(
    bundle: Bundle | str | os.PathLike[str],
    backend: str = "tensorrt",
    *,
    graphs: Sequence[str] = (),
    batch: int = 1,
    prompts: int | None = None,
    references: int | None = None,
    capabilities: Sequence[str] = (),
    force: bool = False,
    progress: Progress = quiet,
    **options: Any,
) -> tuple[CompiledGraph, ...]:
    """Build and keep the engines of a bundle's graphs; those that are there and fit are left as they are.

    `graphs` are of GRAPHS, by default those but "text" that the bundle has. The engine
    takes 1 to `batch` images, recipes of at most `prompts` prompts a state (default: 1024), and galleries of at most
    `references` photos (default: 16), but at least the recipes that are in the bundle. `capabilities`, e.g. "8.6", are
    the GPUs' that TensorRT-RTX builds for instead of the one that is here. `force` builds anew. `progress` counts
    graphs. `options` are those of
    `clipspect.load`. Raises BundleError, RecipeError, BackendError, and ClipspectError where nothing can be written.
    """
    engine = next((engine for engine in registry() if engine.name == backend), None)
    if engine is None or not engine.compiled:
        names = ", ".join(engine.name for engine in registry() if engine.compiled)
        raise BackendError(f"{backend} has nothing to compile: it loads a bundle as it is; to compile for: {names}")
    module = engine.module()
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    recipes = [open_recipe(opened, name) for name in recipe_names(opened)]
    shapes = [{name: tensor.shape for name, tensor in recipe.tensors.items()} for recipe in recipes]
    encoder = opened.manifest.text_encoder
    tokens = None if encoder is None else encoder.context_length
    asked = {"batch": batch, "prompts": prompts, "references": references, "tokens": tokens}
    sizes = module.Sizes(**{name: value for name, value in asked.items() if value is not None})
    settings = module.Options(**options)
    done: list[CompiledGraph] = []
    chosen = _chosen(opened, graphs)
    for name, graph in chosen.items():
        compiled = module.compile_graph(
            opened.path / graph.file,
            opened.manifest.precision if name != TEXT else "fp32",
            module.ranges_of(graph, sizes, shapes),
            settings,
            capabilities=capabilities,
            force=force,
            progress=_part_of(progress, name, len(done), len(chosen)),
        )
        done.append(CompiledGraph(name, compiled.built, str(compiled.path), compiled.manifest))
    return tuple(done)


def _part_of(progress: Progress, graph: str, before: int, graphs: int) -> Progress:
    """The progress of one graph as that of all."""

    def tell(step: str, done: float, total: float, /) -> None:
        progress(f"{graph}: {step}", before + done / total, graphs)

    return tell


def compiled_engines(bundle: Bundle) -> list[CompiledGraph]:
    """The engines in the cache that were built of the bundle's graphs as they are, whether they fit this GPU or not.

    None where no TensorRT is installed, or it does not load: `clipspect doctor` says why.
    """
    try:
        next(engine for engine in registry() if engine.compiled).module()
    except BackendError:
        return []
    from clipspect.engines.tensorrt.options import TensorRtOptions
    from clipspect.engines.tensorrt.store import compiled, folder_of

    folder = folder_of(TensorRtOptions())
    digests = {name: entry.sha256 for name, entry in bundle.manifest.files.items()}
    names = {graph.file: name for name, graph in _graphs(bundle).items()}
    return [
        CompiledGraph(names[graph], False, str(folder / engine.file), engine)
        for engine in compiled(folder)
        if engine.facts.files.items() <= digests.items()
        for graph in names.keys() & {Path(engine.graph).name}
    ]


def _graphs(bundle: Bundle) -> dict[str, Graph]:
    """The graphs that the bundle has, by what they are for."""
    manifest = bundle.manifest
    roles = {ZERO_SHOT: WORDS, FEW_SHOT: BOTH, MEMORY: PHOTOS}
    graphs: dict[str, Graph] = {name: manifest.graphs[role] for name, role in roles.items() if role in manifest.graphs}
    return graphs if manifest.text_encoder is None else {**graphs, TEXT: manifest.text_encoder.graph}


def _chosen(bundle: Bundle, names: Sequence[str]) -> dict[str, Graph]:
    graphs = _graphs(bundle)
    if not names:
        return {name: graph for name, graph in graphs.items() if name != TEXT}
    if missing := [name for name in names if name not in graphs]:
        raise BundleError(f"{bundle.path}: the bundle has no {missing[0]} graph, it has: {', '.join(graphs)}")
    return {name: graphs[name] for name in dict.fromkeys(names)}
