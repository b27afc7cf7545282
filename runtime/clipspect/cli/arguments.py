"""What several commands ask for in the same words."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipspect.bundle.bundle import Bundle

RECIPE_HELP = "recipe of the bundle, or the path of a recipe's file (default: the bundle's only one)"


def add_bundle(parser: argparse.ArgumentParser, help: str = 'bundle folder, or the word "demo"') -> None:
    """BUNDLE and --require-signature, which `open_bundle` reads."""
    parser.add_argument("bundle", metavar="BUNDLE", help=help)
    add_require_signature(parser)


def add_require_signature(parser: argparse.ArgumentParser) -> None:
    """--require-signature."""
    parser.add_argument(
        "--require-signature",
        metavar="PUBLIC.pem",
        help="refuse a bundle and recipes that this key did not sign (clipspect sign; ed25519)",
    )


def open_bundle(args: argparse.Namespace) -> Bundle:
    """The bundle that was named, verified. Raises BundleError, SignatureError."""
    from clipspect.bundle.bundle import Bundle

    return Bundle.open(args.bundle, require_signature=args.require_signature)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """--backend, and those of `add_engine_options`."""
    parser.add_argument(
        "--backend", metavar="NAME", help="inference engine (default: the fastest here, by timing those installed)"
    )
    add_engine_options(parser)


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """--device, --precision, --force-precision, --threads and --url, for one engine or several."""
    parser.add_argument("--device", metavar="NAME", help="of the engine: cpu, cuda, ..., which clipspect doctor lists")
    parser.add_argument(
        "--precision",
        metavar="NAME",
        help="that the engine computes in: bf16 (openvino), int8 (on the CPU, of a bundle with an int8 copy), tf32 "
        "(tensorrt), fp16 (openvino on a GPU; elsewhere an fp16 bundle's own) (default: the bundle's own)",
    )
    parser.add_argument(
        "--force-precision", action="store_true", help="take a precision that did not pass when the bundle was exported"
    )
    parser.add_argument("--threads", metavar="N", type=count, help="threads of the engine (default: the engine's)")
    parser.add_argument(
        "--url", metavar="URL", help="of --backend triton: the server, grpc://HOST:8001, or grpcs:// with TLS"
    )


def add_sinks(parser: argparse.ArgumentParser) -> None:
    """--sink, as often as wanted."""
    parser.add_argument(
        "--sink",
        metavar="NAME[:ARGUMENT]",
        dest="sinks",
        action="append",
        default=[],
        help="where records go besides, as often as wanted: jsonl:FILE, csv:FILE (FILE.partial until the end), or "
        "another package's sink",
    )


def engine_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options that `clipspect.load` takes."""
    given = {"device": args.device, "precision": args.precision, "threads": args.threads, "url": args.url}
    given |= {"force_precision": args.force_precision or None}
    return {name: value for name, value in given.items() if value is not None}


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, found {text!r}")
    return int(text)


def whole_number(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, found {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Any from 0."""
    value = number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected seconds from 0, found {text!r}")
    return value


def interval(text: str) -> float:
    """Seconds, more than 0."""
    value = seconds(text)
    if value == 0:
        raise argparse.ArgumentTypeError("expected more than 0 seconds")
    return value


def rate(text: str) -> float:
    """A share above 0 and below 1: "1%", "1 %" or "0.01"."""
    value = _share(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected more than 0% and less than 100%, as 1% or 0.01, found {text!r}")
    return value


def share_of_work(text: str) -> float:
    """A share above 0, up to 1, which is all."""
    value = _share(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected more than 0% and at most 100%, as 50% or 0.5, found {text!r}")
    return value


def _share(text: str) -> float:
    """NaN for what is none."""
    share = text.strip()
    try:
        return float(share[:-1]) / 100 if share.endswith("%") else float(share)
    except ValueError:
        return math.nan


def number(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, found {text!r}")
    return value
