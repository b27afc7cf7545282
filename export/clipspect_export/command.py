"""`clipspect export`: the exporter's face on the command line. Torch is imported only when it runs."""

from __future__ import annotations

import argparse
import importlib.util
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from clipspect.base.errors import ExportError
from clipspect.base.installation import pip_install
from clipspect.bundle.presets import Preset, preset_names, read_preset
from clipspect.cli.arguments import count
from clipspect.cli.progress import ProgressBar
from clipspect.engines.graph import BOTH, PHOTOS
from clipspect_export.methods.method import Option
from clipspect_export.methods.registry import all_options

if TYPE_CHECKING:
    from clipspect.bundle.inspection_graph import InspectionGraph
    from clipspect.bundle.windows_graph import WindowsGraph

REQUIRED = ("torch", "open_clip", "onnx", "onnxscript", "onnx_ir", "onnxruntime", "tokenizers")
TERMINATED = 128 + signal.SIGTERM

_DESCRIPTION = """Turn a method and CLIP weights into a bundle, checked against the torch reference.
METHOD alone exports the published model; every option overrides a part of it.
Needs the export extra: torch, open_clip and onnx."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "export",
        help="turn a method and CLIP weights into a bundle",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action=_HelpWithPresets, help="show this help, and the methods, and exit")
    parser.add_argument("method", metavar="METHOD", choices=preset_names(), help="one of those listed below")
    parser.add_argument("--out", metavar="BUNDLE", help="the folder to write (default: METHOD.bundle)")
    parser.add_argument("--force", action="store_true", help="replace an existing bundle, its recipes included")
    parser.add_argument(
        "--backbone", metavar="NAME", help="open_clip's name, of DINOv2 timm's, or a .json configuration in that form"
    )
    parser.add_argument(
        "--weights", metavar="TAG|FILE", help="open_clip's or timm's tag, or a state dict in .safetensors, .pth or .npz"
    )
    parser.add_argument(
        "--object",
        action="extend",
        nargs="+",
        default=[],
        metavar="TEXT",
        help="write a recipe for each of these names",
    )
    for by_method in all_options().values():
        _add_option(parser, by_method)
    parser.add_argument("--few-shot", action="store_true", help="add the graph that compares with images of good parts")
    parser.add_argument("--memory", action="store_true", help="add the graph that goes by images of good parts alone")
    parser.add_argument(
        "--windows",
        action="store_true",
        help="add the graph that encodes the windows it is asked for: regions of interest, cascades, fixed cameras",
    )
    parser.add_argument(
        "--precision", choices=["fp32", "fp16"], default="fp32", help="what the graph computes in; fp16 is for GPUs"
    )
    parser.add_argument("--int8", action="store_true", help="add a copy for CPUs with its linear layers in int8")
    parser.add_argument(
        "--calibration",
        action="extend",
        nargs="+",
        default=[],
        metavar="PATH",
        help="photos, or folders of them, that fix the ranges of int8 (default: some of the embedded pictures)",
    )
    parser.add_argument(
        "--force-precision", action="store_true", help="keep fp16 or int8 although it costs more than is allowed"
    )


def _add_option(parser: argparse.ArgumentParser, by_method: Mapping[str, Option]) -> None:
    """One flag for the option of one name, in as many methods as have it; None where it is not given."""
    option = next(iter(by_method.values()))
    flag = f"--{option.name.replace('_', '-')}"
    texts: dict[str, list[str]] = {}
    for method, own in by_method.items():
        default = "" if own.default in (None, False) else f" (default: {_shown(own.default)})"
        texts.setdefault(own.flag.help + default, []).append(method)
    text = "; ".join(f"{', '.join(methods)}: {words}" for words, methods in texts.items()).replace("%", "%%")
    if option.kind is bool:
        parser.add_argument(flag, action="store_true", default=None, help=text)
        return
    choices = list(dict.fromkeys(choice for own in by_method.values() for choice in own.flag.choices or ()))
    parser.add_argument(
        flag, type=_PARSERS[option.kind], choices=choices or None, metavar=option.flag.metavar, help=text
    )


def _shown(default: Any) -> str:
    return ",".join(map(str, default)) if isinstance(default, tuple) else f"{default}"


def run(args: argparse.Namespace) -> int:
    """Export, with a bar of stages on a terminal. Raises ExportError, also when the export extra is missing."""
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    if missing or importlib.util.find_spec("clipspect_export") is None:
        raise ExportError(f"export needs {', '.join(missing) or 'its own package'}: {pip_install('export')}")
    preset = read_preset(args.method)
    _require_files(args, preset)
    given = {name: getattr(args, name) for name in all_options()}
    options = {**preset.options, **{name: value for name, value in given.items() if value is not None}}
    out = args.out or f"{args.method}.bundle"
    with _terminate_as_exception(), ProgressBar() as progress:
        progress("start torch", 0, 1)
        from clipspect_export import export_bundle

        manifest = export_bundle(
            preset.method,
            out,
            backbone=args.backbone or preset.backbone.name,
            weights=args.weights or preset.backbone.weights,
            objects=args.object,
            few_shot=args.few_shot,
            memory=args.memory,
            windows=args.windows,
            precision=args.precision,
            int8=args.int8,
            calibration=args.calibration,
            force_precision=args.force_precision,
            force=args.force,
            progress=progress,
            **options,
        )
    for role, graph in manifest.graphs.items():
        name = args.method if graph == manifest.first_graph else {BOTH: "few-shot", PHOTOS: "memory"}.get(role, role)
        print(f"{out}: {name}, {_figures(graph)}")
    if manifest.windows is not None:
        print(f"{out}: windows on demand, {_figures(manifest.windows)}")
    for record in manifest.precisions:
        print(f"{out}: {record.words}")
    return 0


class _HelpWithPresets(argparse._HelpAction):
    """The presets' files are read only when somebody asks for them."""

    def __call__(self, parser: argparse.ArgumentParser, *args: Any) -> None:
        parser.epilog = _preset_table()
        super().__call__(parser, *args)


def _preset_table() -> str:
    lines = [
        "methods, and the image and pixel AUROC on MVTec AD that their papers report, zero-shot (or with 1 photo):"
    ]
    for name in preset_names():
        preset = read_preset(name)
        found = preset.published.find("MVTec AD", shots=0) or preset.published.find("MVTec AD", shots=1)
        figures = f"{found.image.auroc:.1f}  {found.pixel.auroc:.1f}" if found else f"{'-':>4}  {'-':>4}"
        needs = "; needs --checkpoint" if preset.checkpoint else ""
        lines.append(f"  {name:<13}  {figures}  {preset.summary}{needs}")
    return "\n".join(lines)


def _require_files(args: argparse.Namespace, preset: Preset) -> None:
    """What no preset can give: weights for another backbone, and a trained file. Raises ExportError."""
    if args.backbone and args.backbone != preset.backbone.name and not args.weights:
        raise ExportError(f"--backbone {args.backbone} without weights: add --weights TAG or --weights FILE")
    if preset.checkpoint and not args.checkpoint:
        files = " or ".join(f"{file.path} (trained on {file.trained_on})" for file in preset.checkpoint.files)
        raise ExportError(
            f"{args.method} needs a file that its official code trained: fetch {files} from "
            f"{preset.checkpoint.repository} and add --checkpoint FILE"
        )


def _figures(graph: InspectionGraph | WindowsGraph) -> str:
    parity = graph.parity
    return (
        f"{graph.flops / 1e9:.1f} GFLOP an image; parity with torch: "
        f"score {parity.score:.1e}, map {parity.anomaly_map:.1e} (tolerance {parity.tolerance:.0e})"
    )


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers with commas, such as 2,3; found {text!r}") from None


_PARSERS: dict[type, Callable[[str], Any]] = {
    int: count,
    float: float,
    str: str,
    tuple: _numbers,
}  # by the kind of an option


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
