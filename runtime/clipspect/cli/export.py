"""`clipspect export`: the exporter's face on the command line. Torch is imported only when it runs."""

from __future__ import annotations

import argparse
import importlib.util
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from clipspect.errors import ExportError

DEFAULTS = {  # backbone and weights by method
    "anomalyclip": ("ViT-L-14-336", "openai"),
    "aprilgan": ("ViT-L-14-336", "openai"),
    "winclip": ("ViT-B-16-plus-240", "laion400m_e32"),
}
REQUIRED = ("torch", "open_clip", "onnx", "onnxscript", "onnx_ir", "onnxruntime")
TERMINATED = 128 + signal.SIGTERM


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "export",
        help="turn a method and CLIP weights into a bundle",
        description="Turn a method and CLIP weights into a bundle, checked against the torch reference. "
        'Needs the export extra: pip install "clipspect[export]"',
    )
    parser.add_argument("method", choices=sorted(DEFAULTS))
    parser.add_argument("--out", required=True, metavar="BUNDLE", help="the folder to write")
    parser.add_argument("--backbone", metavar="NAME", help="open_clip's name, or a .json configuration in its form")
    parser.add_argument("--weights", metavar="TAG|FILE", help="open_clip's tag, or a .safetensors or .pt state dict")
    parser.add_argument(
        "--object",
        action="extend",
        nargs="+",
        default=[],
        metavar="TEXT",
        help="write a recipe for each of these names",
    )
    parser.add_argument(
        "--checkpoint", metavar="FILE", help="the trained file of the official code: anomalyclip and aprilgan need it"
    )
    parser.add_argument(
        "--scales", type=_numbers, metavar="2,3", help="winclip: sides of the windows in patches (default: 2,3)"
    )
    parser.add_argument(
        "--layers", type=_numbers, metavar="24", help="anomalyclip: blocks whose patches are read (default: 24)"
    )
    parser.add_argument(
        "--sigma", type=float, metavar="4", help="anomalyclip: smoothing of the map in pixels, 0 for none (default: 4)"
    )
    parser.add_argument("--precision", choices=["fp32", "fp16"], default="fp32", help="what the graph computes in")
    parser.add_argument("--force", action="store_true", help="replace an existing bundle, its recipes included")


def run(args: argparse.Namespace) -> int:
    """Export, with a bar of stages on a terminal. Raises ExportError, also when the export extra is missing."""
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    if missing or importlib.util.find_spec("clipspect_export") is None:
        raise ExportError(f'export needs {", ".join(missing) or "its own package"}: pip install "clipspect[export]"')
    from tqdm import tqdm

    backbone, weights = DEFAULTS[args.method]
    if args.backbone and args.backbone != backbone and not args.weights:
        raise ExportError(f"--backbone {args.backbone} without weights: add --weights TAG or --weights FILE")
    with (
        _terminate_as_exception(),
        tqdm(disable=not sys.stderr.isatty(), leave=False, bar_format="{bar:20} {desc} {elapsed}") as bar,
    ):
        bar.set_description_str("start torch")
        from clipspect_export import STAGES, export_bundle

        def progress(stage: str) -> None:
            bar.total, bar.n = len(STAGES), STAGES.index(stage)
            bar.set_description_str(stage)

        manifest = export_bundle(
            args.method,
            args.out,
            backbone=args.backbone or backbone,
            weights=args.weights or weights,
            objects=args.object,
            scales=args.scales,
            layers=args.layers,
            sigma=args.sigma,
            checkpoint=args.checkpoint,
            precision=args.precision,
            force=args.force,
            progress=progress,
        )
    parity = manifest.parity
    print(
        f"{args.out}: {args.method}, {manifest.graph.flops / 1e9:.1f} GFLOP an image; "
        f"parity with torch: score {parity.score:.1e}, map {parity.anomaly_map:.1e} (tolerance {parity.tolerance:.0e})"
    )
    return 0


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers with commas, such as 2,3; found {text!r}") from None


@contextmanager
def _terminate_as_exception() -> Iterator[None]:
    """SIGTERM unwinds the stack like ctrl-C does, so that the unfinished bundle is removed."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    if threading.current_thread() is not threading.main_thread():  # only there can signals be handled
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
