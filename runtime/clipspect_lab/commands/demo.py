"""`clipspect demo`: the embedded bundle on its shipped images, with a table, overlays and one HTML page."""

from __future__ import annotations

import argparse
from pathlib import Path

from clipspect.cli.progress import ProgressBar

_DESCRIPTION = """Inspect the shipped images with the embedded demo model: no network, no weights, no torch. A
demonstration and a test fixture, not a product for a line."""

NEXT_STEPS = """pip install "clipspect[export]"
clipspect export winclip --backbone ViT-B-16-plus-240 --weights laion400m_e32 --object "metal nut" --out nuts.bundle
clipspect run nuts.bundle photos/ --out results/"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("demo", help="see it work, offline", description=_DESCRIPTION)
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("clipspect-demo"),
        help="where to write (default: clipspect-demo/)",
    )


def run(args: argparse.Namespace) -> int:
    from clipspect.inspection.inspector import load
    from clipspect.sinks.overlay_colours import HeatScale
    from clipspect_lab.demo.inspected import inspect_pictures, write_overlays
    from clipspect_lab.demo.page import write_demo_page
    from clipspect_lab.demo.table import demo_table, table_text

    with load("demo") as inspector, ProgressBar("image") as bar:
        items = inspect_pictures(inspector, bar)
        device, scale = f"{inspector.backend} on {inspector.device}", HeatScale(*inspector.map_range)
    table = demo_table(items)
    write_overlays(args.out / "overlays", items, scale)
    page = args.out / "index.html"
    write_demo_page(page, items, table, device=device, scale=scale, next_steps=NEXT_STEPS)
    print(table_text(table))
    print(f"\nOne image at a time, {device}, decoding and map included. Drawn images of families that the demo model")
    print("never saw in training: a demonstration and a test fixture, not a product for a line.")
    print(f"\n{len(items)} overlays and a page to look at: {page}")
    print(f"\nNext, with real weights:\n\n{NEXT_STEPS}")
    return 0
