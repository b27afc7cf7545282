"""`clipspect demo`: the embedded bundle on its shipped images, with a table, overlays and one HTML page."""

from __future__ import annotations

import argparse
from pathlib import Path

from clipspect.base.lock import only_writer_in
from clipspect.cli.progress import ProgressBar

_DESCRIPTION = """Inspect the shipped images with the embedded demo model: no network, no weights, no torch. A
demonstration and a test fixture, not a product for a line."""

_WITH_REAL_WEIGHTS = """clipspect export winclip --object "metal nut" --out nuts.bundle
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
    from clipspect.base.installation import pip_install
    from clipspect.engines.graph import PHOTOS
    from clipspect.inspection.load import load
    from clipspect.recipes.make import make_recipe
    from clipspect.sinks.overlay_colours import HeatScale
    from clipspect_lab.demo.inspected import inspect_pictures, write_overlays
    from clipspect_lab.demo.page import Remembered, write_demo_page
    from clipspect_lab.demo.pictures import read_demo_pictures, read_photographs
    from clipspect_lab.demo.table import demo_table, photographs_row, table_text

    args.held.enter_context(only_writer_in(args.out))
    photographs = read_photographs()
    with load("demo") as inspector, ProgressBar("image") as bar:
        items = inspect_pictures(inspector, *read_demo_pictures(), bar)
        device, scale = f"{inspector.backend} on {inspector.device}", HeatScale(*inspector.map_range)
        recipe = make_recipe(
            inspector.bundle, "cookie", references=photographs.references, judge=PHOTOS, backend=inspector.backend
        )
        with inspector.with_recipe(recipe) as of_photographs:
            found = inspect_pictures(of_photographs, photographs.folder, photographs.pictures, bar)
            photographs_scale = HeatScale(*of_photographs.map_range)
    table, row = demo_table(items), photographs_row(found)
    write_overlays(args.out / "overlays", items, scale)
    write_overlays(args.out / "overlays", found, photographs_scale)
    page = args.out / "index.html"
    next_steps = f"{pip_install('export')}\n{_WITH_REAL_WEIGHTS}"
    remembered = Remembered(found, row, photographs_scale, len(photographs.references))
    write_demo_page(page, items, table, remembered, device=device, scale=scale, next_steps=next_steps)
    print(table_text(table))
    print("\nDrawn images of families that the demo model never saw in training, judged by words.\n")
    print(table_text([row], apart=1))
    print(f"\nPhotographs, judged by {len(photographs.references)} of good parts alone: what the model remembers.")
    print(f"\nOne image at a time, {device}, decoding and map included. A demonstration and a test fixture,")
    print("not a product for a line.")
    print(f"\n{len(items) + len(found)} overlays and a page to look at: {page}")
    print(f"\nNext, with real weights:\n\n{next_steps}")
    return 0
