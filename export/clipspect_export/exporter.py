"""From a method and a backbone to a bundle on disk: the order of the work, and nothing of its substance."""

from __future__ import annotations

import dataclasses
import importlib
import math
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clipspect.base.errors import ExportError
from clipspect.base.progress import Progress, quiet
from clipspect.base.version import __version__
from clipspect.bundle import manifest as schema
from clipspect.bundle.inspection_graph import InspectionGraph, Parity
from clipspect.bundle.manifest import RECIPES
from clipspect.bundle.precision_record import Int8Copy, PrecisionRecord
from clipspect.bundle.windows_graph import WindowsGraph
from clipspect.engines.graph import BOTH, FP16, FP32, PHOTOS, WINDOWS, WORDS, Graph
from clipspect.recipes.recipe import RECIPE_SUFFIX, Recipe, check_recipe_name, write_recipe
from clipspect_export.bundle import finish_bundle, new_bundle, require_free
from clipspect_export.check.answers import CHECK_FILE, ask_references
from clipspect_export.graph.write import ENGINE
from clipspect_export.methods.method import DEFAULT_OBJECT, Method, WordOptions
from clipspect_export.methods.model import Model
from clipspect_export.methods.registry import plan, read_method, read_options, require_role
from clipspect_export.methods.source import Source, load_source, read_config
from clipspect_export.methods.write import write_graphs
from clipspect_export.precision.gate import require_passed
from clipspect_export.precision.int8_copy import read_calibration
from clipspect_export.precision.records import add_int8, compare_graphs
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.text_encoder import write_text_encoder

STAGES = ("load weights", "text features", "export graph", "parity", "precisions", "write")
_PACKAGES = ("torch", "open_clip", "onnx", "onnxscript", "onnxruntime", "tokenizers")  # as they are imported


def export_bundle(
    method: str,
    out: str | Path,
    *,
    backbone: str | Path,
    weights: str | Path,
    objects: Sequence[str] = (),
    few_shot: bool = False,
    memory: bool = False,
    windows: bool = False,
    precision: str = FP32,
    storage: str = FP32,
    int8: bool = False,
    calibration: Sequence[str | Path] = (),
    force_precision: bool = False,
    force: bool = False,
    progress: Progress = quiet,
    **options: Any,
) -> schema.Manifest:
    """Write the bundle `out` and return its manifest.

    `backbone` is open_clip's or timm's name or a JSON configuration; `weights` a tag or a file. Each of `objects`
    becomes a recipe of that name; without any, there is one recipe, `object`; a method that reads no words has none.
    `options` are the method's, the fields of the dataclass in methods/METHOD/options.py; None is the default.

    `few_shot` adds the graph that also compares with images of good parts, `memory` the one that does nothing else,
    `windows` the one that encodes the windows it is asked for, where the method has one.
    `precision="fp16"` computes the encoder in fp16, for GPUs. `int8` adds a copy for CPUs whose ranges are those of
    `calibration`, photos and folders of them, by default embedded pictures. Either is refused where it costs more than
    precision/gate.py allows, but with `force_precision`, which is recorded. `storage="fp16"` halves the file where
    that loses nothing; it computes in fp32 all the same. `progress` is told each of STAGES as it begins.

    Raises ExportError, or RecipeError for a name that no recipe can have and for words that do not fit; then, and
    whenever it is interrupted, nothing is left at `out` that was not there.
    """
    target = Path(out)
    chosen = read_method(method)
    roles = _require_roles(chosen, few_shot, memory)
    if windows:
        require_role(chosen, WINDOWS)
    objects = list(dict.fromkeys(objects)) or [DEFAULT_OBJECT]
    _require_precision(precision, storage, int8, calibration)
    require_free(target, force)
    for name in objects:
        check_recipe_name(name)
    own = read_options(chosen, options, objects)
    config = read_config(chosen, backbone, own)
    build = plan(chosen, config, own)

    def begin(stage: int) -> None:
        progress(STAGES[stage], stage, len(STAGES))

    with new_bundle(target, force=force) as folder:
        begin(0)
        source = load_source(chosen, backbone, weights, config)
        model = build(source.tower)
        forms = {role: model.forms[role] for role in roles}
        image = source.config.image
        calibrated = read_calibration(calibration, image) if int8 else None
        begin(1)
        recipes = _recipes(chosen, source, model, objects)
        for recipe in recipes:
            write_recipe(folder / RECIPES / f"{recipe.name}{RECIPE_SUFFIX}", recipe)
        begin(2)
        graphs = write_graphs(
            forms,
            source.config,
            folder,
            windows=model.windows if windows else None,
            precision=precision,
            storage=storage,
        )
        with_text_encoder = isinstance(own, WordOptions) and own.with_text_encoder
        text_encoder = None
        if with_text_encoder and isinstance(source.tower, Clip):
            text_encoder = write_text_encoder(source.tower, folder, storage=storage)
        begin(3)
        answers = ask_references(forms, image, recipes[0].text_features if recipes else None, folder)
        checks = {folder / graphs[role].file: check for role, check in answers.items()}
        on_demand = _on_demand(graphs.pop(WINDOWS), model) if windows else None
        if on_demand is not None:
            checks[folder / on_demand.file] = answers[BOTH if few_shot else WORDS].of_windows(on_demand, image)
        compared = compare_graphs(checks, model.tolerance, precision)
        begin(4)
        int8_copy, of_copy = add_int8(checks, calibrated) if calibrated is not None else (None, [])
        records = require_passed([compared.record, *of_copy], force=force_precision)
        begin(5)
        manifest = _manifest(
            method,
            source,
            model,
            precision,
            storage,
            graphs={
                role: InspectionGraph(
                    **vars(graph), map_range=forms[role].map_range, parity=compared.parities[folder / graph.file]
                )
                for role, graph in graphs.items()
            },
            windows=on_demand and dataclasses.replace(on_demand, parity=compared.parities[folder / on_demand.file]),
            int8_copy=int8_copy,
            records=records,
            text_encoder=text_encoder,
        )
        return finish_bundle(folder, target, manifest, force=force)


def _require_roles(method: Method, few_shot: bool, memory: bool) -> list[str]:
    own = [WORDS] if WORDS in method.roles else [PHOTOS]
    roles = list(dict.fromkeys([*own, *([BOTH] if few_shot else []), *([PHOTOS] if memory else [])]))
    for role in roles:
        require_role(method, role)
    return roles


def _on_demand(graph: Graph, model: Model) -> WindowsGraph:
    """What the manifest says of the graph of windows; its parity is not yet known."""
    form = model.windows
    assert form is not None
    unknown = Parity(math.inf, math.inf, model.tolerance, 0, ENGINE)
    return WindowsGraph(
        **vars(graph), grid=(form.grid.rows, form.grid.columns), scales=form.scales, **form.described, parity=unknown
    )


def _require_precision(precision: str, storage: str, int8: bool, calibration: Sequence[str | Path]) -> None:
    if precision not in {FP32, FP16}:
        raise ExportError(f"precision {precision!r}: expected fp32 or fp16; --int8 adds a copy in int8")
    if storage not in {FP32, FP16}:
        raise ExportError(f"storage {storage!r}: expected fp32 or fp16")
    if int8 and precision == FP16:
        raise ExportError("--int8 is a copy of an fp32 graph for CPUs, and fp16 is for GPUs: export two bundles")
    if int8 and storage == "fp16":
        raise ExportError("the int8 copy is made of weights stored in fp32: leave storage fp16 out")
    if calibration and not int8:
        raise ExportError("--calibration is for the int8 copy: add --int8, or leave it out")


def _recipes(method: Method, source: Source, model: Model, objects: Sequence[str]) -> list[Recipe]:
    if model.words is None:
        return []  # its recipes are made of photos, on the box
    return [
        Recipe(
            name=name,
            method=method.name,
            object=name,
            encoder_sha256=source.described.weights.encoder_sha256,
            tensors={"text_features": found.features},
            prompts=found.recorded,
            parameters=model.parameters,
        )
        for name, found in ((name, model.words(name)) for name in objects)
    ]


def _manifest(
    method: str,
    source: Source,
    model: Model,
    precision: str,
    storage: str,
    *,
    graphs: dict[str, InspectionGraph],
    windows: WindowsGraph | None,
    int8_copy: Int8Copy | None,
    records: tuple[PrecisionRecord, ...],
    text_encoder: schema.TextEncoderSpec | None,
) -> schema.Manifest:
    config = source.config
    dim = config.text_dim if model.words is not None else None
    return schema.Manifest(
        schema_version=schema.SCHEMA_VERSION,
        method=method,
        backbone=source.described,
        image=config.image,
        graphs=graphs,
        windows=windows,
        precision=precision,
        storage=storage,
        text=None if dim is None else schema.TextSpec(dim, ensemble=model.ensemble, mean=model.mean),
        text_encoder=text_encoder,
        int8=int8_copy,
        precisions=records,
        check=CHECK_FILE,
        parameters=model.parameters,
        versions={
            "clipspect": __version__,
            "python": platform.python_version(),
            **{package: str(importlib.import_module(package).__version__) for package in _PACKAGES},
        },
    )
