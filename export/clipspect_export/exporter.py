"""From a method and a backbone to a bundle on disk: the order of the work, and nothing of its substance."""

from __future__ import annotations

import dataclasses
import importlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipspect.base.errors import ExportError
from clipspect.base.version import __version__
from clipspect.bundle import manifest as schema
from clipspect.bundle.manifest import RECIPES
from clipspect.bundle.precision_record import Int8Copy, PrecisionRecord
from clipspect.engines.graph import FP16, FP32
from clipspect.frame.spec import ImageSpec
from clipspect.recipes.prompts import MEAN
from clipspect.recipes.recipe import RECIPE_SUFFIX, Recipe, check_recipe_name, write_recipe
from clipspect_export.bundle import finish_bundle, new_bundle, require_free
from clipspect_export.check.answers import CHECK_FILE
from clipspect_export.methods.methods import DEFAULT_OBJECT, Method, Options
from clipspect_export.methods.methods import METHODS as _METHODS
from clipspect_export.methods.model import Model
from clipspect_export.precision.gate import require_passed
from clipspect_export.precision.inspection import Compared, ask_references, compare_graphs, write_graphs
from clipspect_export.precision.int8_copy import read_calibration
from clipspect_export.precision.precisions import add_int8
from clipspect_export.towers.clip import Clip, build_clip
from clipspect_export.towers.config import QUICK_GELU, ClipConfig, read_backbone
from clipspect_export.towers.text_encoder import write_text_encoder
from clipspect_export.towers.weights import encoder_sha256, load_weights

METHODS = tuple(_METHODS)
STAGES = ("load weights", "text features", "export graph", "parity", "precisions", "write")
_PACKAGES = ("torch", "open_clip", "onnx", "onnxscript", "onnxruntime", "tokenizers")  # as they are imported

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
    window_stride: int | None = None,
    scale_fusion: str | None = None,
    multi_crop: bool = False,
    layers: Sequence[int] | None = None,
    sigma: float | None = None,
    checkpoint: str | Path | None = None,
    ensemble: str | Path | None = None,
    prompt_fusion: str = MEAN,
    with_text_encoder: bool = False,
    few_shot: bool = False,
    precision: str = "fp32",
    storage: str = "fp32",
    int8: bool = False,
    calibration: Sequence[str | Path] = (),
    force_precision: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> schema.Manifest:
    """Write the bundle `out` and return its manifest.

    `backbone` is open_clip's name or a JSON configuration; `weights` an open_clip tag or a file. Each of `objects`
    becomes a recipe of that name; without any, there is one recipe, `object`. WinCLIP's `scales` are window sides in
    patches, (2, 3) by default; `window_stride`, `scale_fusion` and `multi_crop` are those of `Setting` in
    methods/winclip/setting.py. AnomalyCLIP's `layers` are the blocks whose patches are read, (24,) by default, and
    `sigma` is its map's smoothing in pixels, 4 by default and 0 for none. `checkpoint` is the file that the official
    code of AnomalyCLIP or APRIL-GAN wrote. Recipes take the method's own prompts, or those of `ensemble`, a shipped
    one's name or a TOML file; `prompt_fusion` is "mean" or "max". `with_text_encoder` adds what the box needs to make
    recipes of words itself. AnomalyCLIP, whose prompts are learned, takes none of these three. `few_shot` adds the
    graph that also compares with images of good parts; AnomalyCLIP has none. `precision="fp16"` computes the encoder
    in fp16, for GPUs. `int8` adds a copy for CPUs whose ranges are those of `calibration`, photos and folders of them,
    by default embedded pictures. Either is refused where it costs more than precision/gate.py allows, but with
    `force_precision`, which is recorded. `storage="fp16"` halves the file where that loses nothing; it computes in
    fp32 all the same. `progress` is called with each of STAGES as it begins.
    Raises ExportError, or RecipeError for a name that no recipe can have and for words that do not fit; then, and
    whenever it is interrupted, nothing is left at `out` that was not there.
    """
    target = Path(out)
    objects = list(dict.fromkeys(objects)) or [DEFAULT_OBJECT]
    chosen = _require_options(method, precision, storage, few_shot)
    _require_int8(int8, precision, storage, calibration)
    require_free(target, force)
    for name in objects:
        check_recipe_name(name)
    config = read_backbone(backbone)
    options = Options(
        scales=scales,
        window_stride=window_stride,
        scale_fusion=scale_fusion,
        multi_crop=multi_crop or None,
        layers=layers,
        sigma=sigma,
        checkpoint=checkpoint,
        ensemble=ensemble,
        prompt_fusion=None if prompt_fusion == MEAN else prompt_fusion,
        with_text_encoder=with_text_encoder or None,
    )
    build = chosen.prepare(config, options, objects)
    begin = progress or (lambda stage: None)

    with new_bundle(target, force=force) as folder:
        begin(STAGES[0])
        source = _load(chosen, weights, config)
        model = build(source.clip)
        size = source.config.image_size
        calibrated = read_calibration(calibration, ImageSpec(size, size)) if int8 else None
        begin(STAGES[1])
        recipes = _recipes(chosen, source, model, objects)
        for recipe in recipes:
            write_recipe(folder / RECIPES / f"{recipe.name}{RECIPE_SUFFIX}", recipe)
        begin(STAGES[2])
        graph, few_shot_graph = write_graphs(
            model, source.config, folder, precision=precision, storage=storage, few_shot=few_shot
        )
        text_encoder = write_text_encoder(source.clip, folder, storage=storage) if with_text_encoder else None
        begin(STAGES[3])
        checks = ask_references(model, few_shot_graph, size, recipes[0].text_features, folder)
        compared = compare_graphs(model, graph, few_shot_graph, checks, precision)
        begin(STAGES[4])
        int8_copy, of_copy = add_int8(checks, calibrated) if calibrated is not None else (None, [])
        records = require_passed([compared.record, *of_copy], force=force_precision)
        begin(STAGES[5])
        manifest = _manifest(
            method,
            source,
            model,
            precision,
            storage,
            compared=compared,
            int8_copy=int8_copy,
            records=records,
            text_encoder=text_encoder,
        )
        return finish_bundle(folder, target, manifest, force=force)


def _require_options(method: str, precision: str, storage: str, few_shot: bool) -> Method:
    if method not in _METHODS:
        raise ExportError(f"method {method!r} is not in this version; there are: {', '.join(METHODS)}")
    if precision not in {FP32, FP16}:
        raise ExportError(f"precision {precision!r}: expected fp32 or fp16; --int8 adds a copy in int8")
    if storage not in {"fp32", "fp16"}:
        raise ExportError(f"storage {storage!r}: expected fp32 or fp16")
    if few_shot and not _METHODS[method].few_shot:
        able = " and ".join(row.name for row in _METHODS.values() if row.few_shot)
        raise ExportError(f"{method} has no few-shot form ({able} have): leave --few-shot out")
    return _METHODS[method]


def _require_int8(int8: bool, precision: str, storage: str, calibration: Sequence[str | Path]) -> None:
    if int8 and precision == FP16:
        raise ExportError("--int8 is a copy of an fp32 graph for CPUs, and fp16 is for GPUs: export two bundles")
    if int8 and storage == "fp16":
        raise ExportError("the int8 copy is made of weights stored in fp32: leave storage fp16 out")
    if calibration and not int8:
        raise ExportError("--calibration is for the int8 copy: add --int8, or leave it out")


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
            parameters=model.parameters,
        )
        for name in objects
    ]


def _manifest(
    method: str,
    source: _Source,
    model: Model,
    precision: str,
    storage: str,
    *,
    compared: Compared,
    int8_copy: Int8Copy | None,
    records: tuple[PrecisionRecord, ...],
    text_encoder: schema.TextEncoderSpec | None,
) -> schema.Manifest:
    config = source.config
    return schema.Manifest(
        schema_version=schema.SCHEMA_VERSION,
        method=method,
        backbone=source.described,
        image=ImageSpec(config.image_size, config.image_size),
        graphs=compared.graphs,
        precision=precision,
        storage=storage,
        text=schema.TextSpec(config.embed_dim, ensemble=model.ensemble, mean=model.mean),
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
