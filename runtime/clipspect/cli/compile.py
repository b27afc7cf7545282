"""`clipspect compile`: build a bundle's engines before the line needs them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

from clipspect.cli.arguments import add_bundle, count, open_bundle

if TYPE_CHECKING:
    from clipspect.recipes.compile import CompiledGraph

_DESCRIPTION = """Build the TensorRT engines of a bundle's graphs and keep them. They are built for the GPU, driver and
TensorRT that are here, which takes minutes; no engine is ever built while scoring. What is there and fits is left as it
is. The engines lie in the folder that --cache or the variable CLIPSPECT_CACHE names, else in ~/.cache/clipspect, each
beside a JSON file that says what it was built of, for and with."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("compile", help="build and keep TensorRT engines", description=_DESCRIPTION)
    add_bundle(parser)
    parser.add_argument("--backend", metavar="NAME", default="tensorrt", help="what to build for (default: tensorrt)")
    parser.add_argument(
        "--graph",
        nargs="+",
        choices=("zero-shot", "few-shot", "memory", "text"),
        default=(),
        help="which graphs (default: those but text that the bundle has)",
    )
    parser.add_argument("--batch", metavar="N", type=count, default=1, help="the most images in a run (default: 1)")
    parser.add_argument(
        "--prompts", metavar="N", type=count, help="the most prompts a state of a recipe (default: 1024)"
    )
    parser.add_argument(
        "--references", metavar="N", type=count, help="the most photos whose rows a gallery holds (default: 16)"
    )
    parser.add_argument("--precision", metavar="NAME", help="tf32, for an fp32 bundle (default: the bundle's own)")
    parser.add_argument(
        "--package", metavar="NAME", help="tensorrt or tensorrt_rtx (default: the first of the two that is installed)"
    )
    parser.add_argument(
        "--for-compute-capability",
        metavar="X.Y",
        nargs="+",
        default=(),
        help="build for any GPU of these instead of the one here, e.g. 8.6 12.0: tensorrt_rtx only, needs no GPU",
    )
    parser.add_argument("--cache", metavar="DIR", help="the folder of caches (default: CLIPSPECT_CACHE, ~/.cache)")
    parser.add_argument("--force", action="store_true", help="build anew what is there")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from clipspect.recipes.compile import compile_bundle

    options = {name: getattr(args, name) for name in ("precision", "package", "cache")}
    layout = "{l_bar}{bar}| {elapsed}, by its steps about {remaining} left"
    with tqdm(total=100, disable=None, file=sys.stderr, leave=False, smoothing=0, bar_format=layout) as bar:

        def show(step: str, done: float, total: float, /) -> None:
            bar.set_description_str(step, refresh=False)
            bar.update(100 * done / total - bar.n)
            bar.refresh()

        compiled = compile_bundle(
            open_bundle(args),
            args.backend,
            graphs=args.graph,
            batch=args.batch,
            prompts=args.prompts,
            references=args.references,
            capabilities=args.for_compute_capability,
            force=args.force,
            progress=show,
            **{name: value for name, value in options.items() if value is not None},
        )
    print(json.dumps(_document(compiled), indent=2) if args.json else "\n".join(map(_line, compiled)))
    return 0


def engine_words(graph: CompiledGraph) -> str:
    """An engine in a line's words."""
    from clipspect.engines import engine_named

    engine, facts = graph.engine, graph.engine.facts
    place = facts.device.name if facts.device else f"compute capability {', '.join(facts.compute_capabilities)}"
    shapes = engine.inputs.get("image")
    batch = f"up to {shapes.most[0]} image(s), " if shapes is not None else ""
    size = f"{engine.engine.size / 1e6:.1f} MB"
    caveat = engine_named("tensorrt").caveat  # the only engine that is compiled
    return f"{facts.package} {facts.version}, {facts.precision}, {batch}for {place}, {size}; {caveat}"


def _line(graph: CompiledGraph) -> str:
    how = f"built in {graph.engine.build_seconds:.1f} s" if graph.built else "there already"
    return f"{graph.graph:10}{how}: {engine_words(graph)}\n{'':10}{graph.path}"


def _document(compiled: tuple[CompiledGraph, ...]) -> dict[str, Any]:
    return {"engines": [dataclasses.asdict(graph) for graph in compiled]}
