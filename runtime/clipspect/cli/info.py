"""`clipspect info`: what a bundle is, in words or as JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipspect.bundle import Bundle
    from clipspect.recipe import Recipe


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "info", help="show what a bundle is", description="Verify a bundle and show what it is."
    )
    parser.add_argument("bundle", metavar="BUNDLE", help='bundle folder, or the word "demo"')
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    from clipspect.bundle import Bundle

    bundle = Bundle.open(args.bundle)
    recipes = [bundle.recipe(name) for name in bundle.recipe_names()]
    print(json.dumps(_document(bundle, recipes), indent=2, ensure_ascii=False) if args.json else _page(bundle, recipes))
    return 0


def _document(bundle: Bundle, recipes: list[Recipe]) -> dict[str, Any]:
    return {
        "path": str(bundle.path),
        "manifest": dataclasses.asdict(bundle.manifest),
        "recipes": [
            {
                "name": recipe.name,
                "object": recipe.object,
                "prompts": recipe.prompts,
                "limits": dataclasses.asdict(recipe.limits) if recipe.limits else None,
                "calibration": recipe.calibration,
                "tensors": {name: list(tensor.shape) for name, tensor in recipe.tensors.items()},
            }
            for recipe in recipes
        ],
    }


def _page(bundle: Bundle, recipes: list[Recipe]) -> str:
    manifest = bundle.manifest
    weights, image, graph, parity = manifest.backbone.weights, manifest.image, manifest.graph, manifest.parity
    rows = [
        ("bundle", f"{bundle.path} (the files match their hashes, the recipes their own digests)"),
        ("method", ", ".join([manifest.method, *(f"{key} {value}" for key, value in manifest.parameters.items())])),
        ("backbone", f"{manifest.backbone.name}, {manifest.backbone.activation}"),
        ("weights", f"{weights.source} {weights.name}, encoder {weights.encoder_sha256[:12]}"),
        ("image", f"{image.width} x {image.height}, {image.interpolation} {image.resize}"),
        ("precision", f"computes in {manifest.precision}, weights stored in {manifest.storage}"),
        ("graph", f"{graph.file}, opset {graph.opset}, {graph.flops / 1e9:.2f} GFLOP an image"),
        ("map range", f"{manifest.map_range[0]:g} to {manifest.map_range[1]:g}"),
        ("parity", f"score {parity.score:.1e}, map {parity.anomaly_map:.1e}, tolerance {parity.tolerance:.0e} "
                   f"({parity.images} images, {parity.engine})"),
        ("written by", ", ".join(f"{name} {version}" for name, version in manifest.versions.items()) or "unknown"),
    ]  # fmt: skip
    lines = [f"{name:11}{value}" for name, value in rows]
    lines += ["", "recipes"]
    lines += [f"  {recipe.name:24}{_recipe_words(recipe)}" for recipe in recipes] or ["  none"]
    lines += ["", "files"]
    lines += [f"  {name:40}{_size((bundle.path / name).stat().st_size):>10}" for name in manifest.files]
    return "\n".join(lines)


def _recipe_words(recipe: Recipe) -> str:
    limits = "no limits: scores without a verdict"
    if recipe.limits:
        limits = f"review from {recipe.limits.review:g}, reject from {recipe.limits.reject:g}"
    return f"object {recipe.object!r}, {recipe.text_features.shape[1]} prompt(s) a state, {limits}"


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
