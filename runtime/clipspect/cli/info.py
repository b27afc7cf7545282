"""`clipspect info`: what a bundle is, in words or as JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from clipspect.cli.arguments import add_bundle, open_bundle
from clipspect.cli.compile import engine_words
from clipspect.cli.limit_words import limit_rows, scorer_rows
from clipspect.cli.recipe import in_bytes, prompt_words
from clipspect.cli.window_words import window_rows
from clipspect.engines.graph import BOTH, PHOTOS
from clipspect.recipes.region import region_rows
from clipspect.recipes.shelf import open_recipe, recipe_names

if TYPE_CHECKING:
    from clipspect.bundle.bundle import Bundle
    from clipspect.bundle.inspection_graph import InspectionGraph, Parity
    from clipspect.bundle.manifest import Manifest
    from clipspect.frame.spec import ImageSpec
    from clipspect.recipes.compile import CompiledGraph
    from clipspect.recipes.recipe import Recipe


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "info", help="show what a bundle is", description="Verify a bundle and show what it is."
    )
    add_bundle(parser)
    parser.add_argument(
        "--recipe", metavar="FILE", action="append", default=[], help="show a recipe outside the bundle, too"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    from clipspect.recipes.compile import compiled_engines

    bundle = open_bundle(args)
    recipes = [open_recipe(bundle, name) for name in (*recipe_names(bundle), *args.recipe)]
    engines = compiled_engines(bundle)
    if args.json:
        print(json.dumps(_document(bundle, recipes, engines), indent=2, ensure_ascii=False))
    else:
        print(_page(bundle, recipes, engines))
    return 0


def _document(bundle: Bundle, recipes: list[Recipe], engines: list[CompiledGraph]) -> dict[str, Any]:
    return {
        "path": str(bundle.path),
        "digest": bundle.digest,
        "manifest": bundle.manifest.document(),
        "recipes": [
            {
                "name": recipe.name,
                "digest": recipe.digest,
                "object": recipe.object,
                "prompts": recipe.prompts,
                **{key: recipe.document()[key] for key in ("limits", "calibration", "history")},
                "region_of_interest": recipe.document().get("region_of_interest"),
                "references": recipe.references,
                "tiling": recipe.document().get("tiling"),
                "windows": recipe.document().get("windows"),
                "tensors": {name: list(tensor.shape) for name, tensor in recipe.tensors.items()},
            }
            for recipe in recipes
        ],
        "engines": [dataclasses.asdict(engine) for engine in engines],
    }


def _page(bundle: Bundle, recipes: list[Recipe], engines: list[CompiledGraph]) -> str:
    manifest = bundle.manifest
    signed = "" if bundle.key is None else f"; signed by the key in {bundle.key.path}"
    weights, image, graph = manifest.backbone.weights, manifest.image, manifest.first_graph
    rows = [
        ("bundle", f"{bundle.path} (the files match their hashes, the recipes their own digests{signed})"),
        ("method", ", ".join([manifest.method, *(f"{key} {value}" for key, value in manifest.parameters.items())])),
        ("backbone", f"{manifest.backbone.name}, {manifest.backbone.activation}"),
        ("weights", f"{weights.source} {weights.name}, encoder {weights.encoder_sha256[:12]}"),
        ("image", f"{image.width} x {image.height}, {image.interpolation} {image.resize}"),
        ("precision", f"computes in {manifest.precision}, weights stored in {manifest.storage}"),
        ("graph", _graph_words(graph)),
        ("parity", _parity_words(graph.parity)),
        *_optional_rows(manifest),
        ("written by", ", ".join(f"{name} {version}" for name, version in manifest.versions.items()) or "unknown"),
    ]  # fmt: skip
    lines = [f"{name:14}{value}" for name, value in rows]
    lines += ["", "recipes"]
    lines += [line for recipe in recipes for line in _recipe_lines(recipe, image)] or ["  none"]
    if engines:
        lines += ["", "compiled engines of these graphs, in this user's cache"]
        lines += [f"  {engine.graph:10}{engine_words(engine)}" for engine in engines]
    lines += ["", "files"]
    lines += [f"  {name:40}{in_bytes((bundle.path / name).stat().st_size):>10}" for name in manifest.files]
    return "\n".join(lines)


def _optional_rows(manifest: Manifest) -> list[tuple[str, str]]:
    rows = []
    for role, name in ((BOTH, "few-shot"), (PHOTOS, "memory")):
        if (graph := manifest.graphs.get(role)) is not None and graph != manifest.first_graph:
            rows.append((name, _graph_words(graph)))
            rows.append(("", f"parity {_parity_words(graph.parity)}"))
    if (windows := manifest.windows) is not None:
        rows.append(("on demand", f"{windows.file}, opset {windows.opset}, {windows.flops / 1e9:.2f} GFLOP an image "
                                  "of all windows"))  # fmt: skip
        rows.append(("", f"parity {_parity_words(windows.parity)}"))
    if (encoder := manifest.text_encoder) is not None:
        rows.append(
            ("text encoder", f"{encoder.graph.file} with {encoder.tokenizer}, up to {encoder.context_length} tokens, "
                             f"parity {encoder.parity:.1e}")
        )  # fmt: skip
    if (copy := manifest.int8) is not None:
        rows.append(
            (
                "int8 copy",
                f"{', '.join(copy.graphs.values())}; {copy.scheme}; {copy.images} images: {copy.calibrated_on}",
            )
        )
    rows += [("precisions" if number == 0 else "", record.words) for number, record in enumerate(manifest.precisions)]
    rows.append(("check images", manifest.check or "none: clipspect verify needs a newer export"))
    return rows


def _graph_words(graph: InspectionGraph) -> str:
    low, high = graph.map_range
    return f"{graph.file}, opset {graph.opset}, {graph.flops / 1e9:.2f} GFLOP an image, map {low:g} to {high:g}"


def _parity_words(parity: Parity) -> str:
    return (
        f"score {parity.score:.1e}, map {parity.anomaly_map:.1e}, tolerance {parity.tolerance:.0e} "
        f"({parity.images} images, {parity.engine})"
    )


def _recipe_lines(recipe: Recipe, image: ImageSpec) -> list[str]:
    region = recipe.region_of_interest
    rows = [] if region is None else region_rows(region, (image.width, image.height))
    rows += window_rows(recipe)
    if recipe.limits is None and not rows:
        return [f"  {recipe.name:24}{_recipe_words(recipe)}, no limits: scores without a verdict"]
    rows += [*limit_rows(recipe), *scorer_rows(recipe)]
    return [f"  {recipe.name:24}{_recipe_words(recipe)}", *(f"    {name:14}{value}" for name, value in rows)]


def _recipe_words(recipe: Recipe) -> str:
    return ", ".join(
        words for words in (prompt_words(recipe), _reference_words(recipe), _tiling_words(recipe)) if words
    )


def _tiling_words(recipe: Recipe) -> str:
    return "" if recipe.tiling is None else f"seen in {recipe.tiling.words()}"


def _reference_words(recipe: Recipe) -> str:
    if not recipe.has_references:
        return ""
    from clipspect.engines.graph import REFERENCE

    count = (recipe.references or {}).get("count", "unknown")
    photos = "1 reference" if count == 1 else f"{count} references"
    if subspace := (recipe.references or {}).get("subspace"):
        return f"{photos} (a subspace of {subspace['rank']} dimensions)"
    rows = [len(tensor) for name, tensor in recipe.tensors.items() if name.startswith(REFERENCE)]
    return f"{photos} ({sum(rows)} rows in {len(rows)} galleries)"
