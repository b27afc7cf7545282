"""From a method and a backbone to a bundle on disk: the order of the work, and nothing of its substance."""

from __future__ import annotations

import dataclasses
import importlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from clipspect import manifest as schema
from clipspect.bundle import RECIPES
from clipspect.errors import ExportError
from clipspect.recipe import RECIPE_SUFFIX, Recipe, check_recipe_name, write_recipe
from clipspect.version import __version__

from clipspect_export.bundle import finish_bundle, new_bundle, require_free
from clipspect_export.clip import Clip, build_clip
from clipspect_export.config import QUICK_GELU, ClipConfig, read_backbone
from clipspect_export.graph import OPSET, GraphInput, write_graph
from clipspect_export.graph_check import GraphReport, check_graph
from clipspect_export.methods import DEFAULT_OBJECT, Method, Model, Options
from clipspect_export.methods import METHODS as _METHODS
from clipspect_export.parity import measure_parity
from clipspect_export.weights import encoder_sha256, load_weights

METHODS = tuple(_METHODS)
STAGES = ("load weights", "text features", "export graph", "parity", "write")
GRAPH_FILE = "model.onnx"
_EXAMPLE_BATCH, _EXAMPLE_PROMPTS = 2, 3  # not 1: torch takes a 1 for a constant
_PACKAGES = ("torch", "open_clip", "onnx", "onnxscript", "onnxruntime")  # as they are imported

Progress = Callable[[str], None]


@dataclass(frozen=True)
class _Source:
    """A backbone with its weights loaded."""

    clip: Clip
    described: schema.Backbone

    @property
    def config(self) -> ClipConfig:
        return self.clip.config


def export_bundle(
    method: str,
    out: str | Path,
    *,
    backbone: str | Path,
    weights: str | Path,
    objects: Sequence[str] = (),
    scales: Sequence[int] | None = None,
    layers: Sequence[int] | None = None,
    sigma: float | None = None,
    checkpoint: str | Path | None = None,
    precision: str = "fp32",
    storage: str = "fp32",
    force: bool = False,
    progress: Progress | None = None,
) -> schema.Manifest:
    """Write the bundle `out` and return its manifest.

    `backbone` is open_clip's name or a JSON configuration; `weights` an open_clip tag or a file. Each of `objects`
    becomes a recipe of that name; without any, there is one recipe, `object`. WinCLIP's `scales` are window sides in
    patches, (2, 3) by default. AnomalyCLIP's `layers` are the blocks whose patches are read, (24,) by default, and
    `sigma` is its map's smoothing in pixels, 4 by default and 0 for none. `checkpoint` is the file that the official
    code of AnomalyCLIP or APRIL-GAN wrote. `storage="fp16"` halves the file where that loses nothing; it computes in
    fp32 all the same. `progress` is called with each of STAGES as it begins. Raises ExportError, or RecipeError for a
    name that no recipe can have; then, and whenever it is interrupted, nothing is left at `out` that was not there.
    """
    target = Path(out)
    objects = list(dict.fromkeys(objects)) or [DEFAULT_OBJECT]
    chosen = _require_options(method, precision, storage)
    require_free(target, force)
    for name in objects:
        check_recipe_name(name)
    config = read_backbone(backbone)
    build = chosen.prepare(config, Options(scales, layers, sigma, checkpoint), objects)
    begin = progress or (lambda stage: None)

    with new_bundle(target, force=force) as folder:
        begin(STAGES[0])
        source = _load(chosen, weights, config)
        model = build(source.clip)
        begin(STAGES[1])
        recipes = _recipes(chosen, source, model, objects)
        for recipe in recipes:
            write_recipe(folder / RECIPES / f"{recipe.name}{RECIPE_SUFFIX}", recipe)
        begin(STAGES[2])
        report = _write_graph(model, source.config, folder / GRAPH_FILE, storage)
        begin(STAGES[3])
        size, features = source.config.image_size, recipes[0].text_features
        parity = measure_parity(folder / GRAPH_FILE, model.reference, size, features, model.tolerance)
        begin(STAGES[4])
        manifest = _manifest(method, source, model, report=report, parity=parity, storage=storage)
        return finish_bundle(folder, target, manifest, force=force)


def _require_options(method: str, precision: str, storage: str) -> Method:
    if method not in _METHODS:
        raise ExportError(f"method {method!r} is not in this version; there are: {', '.join(METHODS)}")
    if precision != "fp32":
        raise ExportError(f"precision {precision!r} is not yet in this version; there is: fp32")
    if storage not in {"fp32", "fp16"}:
        raise ExportError(f"storage {storage!r}: expected fp32 or fp16")
    return _METHODS[method]


def _load(method: Method, weights: str | Path, config: ClipConfig) -> _Source:
    if method.activation is not None:  # the method's, whatever the weights are known to need
        config = dataclasses.replace(config, activation=QUICK_GELU)
    loaded, config = load_weights(weights, config)
    config = dataclasses.replace(config, activation=method.activation or config.activation)
    digest = encoder_sha256(loaded.tensors, config.activation)
    described = schema.Weights(loaded.source, loaded.name, loaded.sha256, digest)
    tensors, config = method.at_size(loaded.tensors, config)
    return _Source(build_clip(config, tensors), schema.Backbone(config.name, config.activation, described))


def _recipes(method: Method, source: _Source, model: Model, objects: Sequence[str]) -> list[Recipe]:
    return [
        Recipe(
            name=name,
            method=method.name,
            object=name,
            encoder_sha256=source.described.weights.encoder_sha256,
            tensors={"text_features": model.features(name)},
            prompts=model.prompts,
        )
        for name in objects
    ]


def _write_graph(model: Model, config: ClipConfig, path: Path, storage: str) -> GraphReport:
    side = config.image_size
    inputs = {
        "image": GraphInput(torch.zeros(_EXAMPLE_BATCH, side, side, 3, dtype=torch.uint8), {0: "N"}),
        "text_features": GraphInput(torch.randn(2, _EXAMPLE_PROMPTS, config.embed_dim), {1: "P"}),
    }
    write_graph(model.graph(), inputs, ["score", "anomaly_map"], path, storage=storage)
    return check_graph(path, {name: item.dynamic for name, item in inputs.items()})


def _manifest(
    method: str,
    source: _Source,
    model: Model,
    *,
    report: GraphReport,
    parity: schema.Parity,
    storage: str,
) -> schema.Manifest:
    config = source.config
    return schema.Manifest(
        schema_version=schema.SCHEMA_VERSION,
        method=method,
        backbone=source.described,
        image=schema.ImageSpec(config.image_size, config.image_size),
        graph=schema.Graph(GRAPH_FILE, OPSET, report.inputs, report.outputs, report.flops),
        precision="fp32",
        storage=storage,
        text=schema.TextSpec(config.embed_dim),
        map_range=model.map_range,
        parity=parity,
        parameters=model.parameters,
        versions={
            "clipspect": __version__,
            "python": platform.python_version(),
            **{package: str(importlib.import_module(package).__version__) for package in _PACKAGES},
        },
    )
