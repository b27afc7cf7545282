"""`clipspect demo`: the embedded bundle on its shipped images, with a table, overlays and one HTML page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clipspect.inspection.inspector import Inspector
    from clipspect_lab.demo.pictures import DemoPicture
    from clipspect_lab.demo.table import InspectedPicture, TableRow

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
    from clipspect.base.files import atomic_file
    from clipspect.inspection.inspector import load
    from clipspect_lab.demo.page import demo_page
    from clipspect_lab.demo.pictures import read_demo_pictures
    from clipspect_lab.demo.table import demo_table

    folder, pictures = read_demo_pictures()
    with load("demo") as inspector:
        items = _inspect_all(inspector, folder, pictures)
        device = f"{inspector.backend} on {inspector.device}"
        low, high = inspector.map_range
    table = demo_table(items)
    _write_overlays(args.out, items, low, high)
    page = args.out / "index.html"
    with atomic_file(page) as file:
        file.write(demo_page(items, table, device=device, heat=(low, high), next_steps=NEXT_STEPS).encode())
    print(_table(table))
    print(f"\nOne image at a time, {device}, decoding and map included. Drawn images of families that the demo model")
    print("never saw in training: a demonstration and a test fixture, not a product for a line.")
    print(f"\n{len(items)} overlays and a page to look at: {page}")
    print(f"\nNext, with real weights:\n\n{NEXT_STEPS}")
    return 0


def _inspect_all(inspector: Inspector, folder: Path, pictures: list[DemoPicture]) -> list[InspectedPicture]:
    from tqdm import tqdm

    from clipspect_lab.demo.pictures import read_mask
    from clipspect_lab.demo.table import InspectedPicture

    items = []
    for picture in tqdm(pictures, unit=" images", disable=None, file=sys.stderr, leave=False):
        frame = inspector.prepare(folder / picture.file)
        mask = read_mask(folder, picture, frame.size)
        items.append(InspectedPicture(picture, frame, mask, inspector.score([frame])[0]))
    return items


def _write_overlays(out: Path, items: list[InspectedPicture], low: float, high: float) -> None:
    from clipspect.base.files import atomic_file
    from clipspect.sinks.overlay import HeatScale, render

    for item in items:
        with atomic_file(out / "overlays" / f"{Path(item.picture.file).stem}.jpg") as file:
            render(item.frame.image, item.result, HeatScale(low, high)).save(file, "JPEG", quality=90)


def _table(rows: list[TableRow]) -> str:
    from clipspect_lab.demo.table import percent

    lines = [f"{'family':22}{'good':>6}{'defective':>11}{'image AUROC':>13}{'pixel AUROC':>13}{'ms':>8}"]
    for row in rows:
        found = row.figures
        lines.append(
            f"{found.name:22}{found.good:6d}{found.defective:11d}"
            f"{percent(found.image_auroc):>13}{percent(found.pixel_auroc):>13}{row.milliseconds:8.1f}"
        )
    lines.insert(len(lines) - 2, "-" * len(lines[0]))
    return "\n".join(lines)
