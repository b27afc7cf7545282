"""`clipspect triton`: a bundle as a model repository of NVIDIA's Triton Inference Server."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from clipspect.cli.arguments import add_bundle, count, open_bundle

if TYPE_CHECKING:
    from clipspect.recipes.triton_repository import ServedGraph

_DESCRIPTION = """Write the graphs of a bundle into a model repository of NVIDIA's Triton Inference Server, one model a
graph, which serves all recipes of the bundle: words and references come with each request. The encoder, most of the
work, joins the images of requests that wait, whatever their recipes. The repository may have other models already.
Inspect with it from any box that has the bundle: clipspect run BUNDLE ... --backend triton --url grpc://HOST:8001."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "triton", help="write a bundle as a model repository of Triton", description=_DESCRIPTION
    )
    add_bundle(parser)
    parser.add_argument("--out", metavar="REPOSITORY", type=Path, required=True, help="the folder that Triton serves")
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda", "tensorrt"),
        default="cpu",
        help="where the server computes: cpu, or cuda (both onnxruntime), or tensorrt, the engines that clipspect "
        "compile built; the last two have never been run here (default: cpu)",
    )
    parser.add_argument(
        "--batch", metavar="N", type=count, default=8, help="the most images in one run of the encoder (default: 8)"
    )
    parser.add_argument(
        "--instances", metavar="N", type=count, default=1, help="copies of each model that run at once (default: 1)"
    )
    parser.add_argument("--force", action="store_true", help="replace models of this bundle that are there")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    from clipspect.recipes.triton_repository import write_triton_repository

    written = write_triton_repository(
        open_bundle(args),
        args.out,
        device=args.device,
        batch=args.batch,
        instances=args.instances,
        force=args.force,
    )
    if args.json:
        print(json.dumps({"repository": str(args.out), "graphs": [_document(graph) for graph in written]}, indent=2))
    else:
        print("\n".join([*map(_line, written), f"serve it: tritonserver --model-repository {args.out.absolute()}"]))
    return 0


def _line(graph: ServedGraph) -> str:
    served = graph.served
    how = f"joins requests, up to {graph.joined} images" if graph.joined else "each request runs for itself"
    return f"{served.role:9}{served.name} version {served.version}: {served.device} in {served.precision}, {how}"


def _document(graph: ServedGraph) -> dict[str, object]:
    served = graph.served
    return {
        **dataclasses.asdict(served), "name": served.name, "version": served.version,
        "joined": graph.joined, "models": list(graph.models),
    }  # fmt: skip
