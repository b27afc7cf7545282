"""`clipspect demo`: the embedded bundle on its shipped images, with a table, overlays and one HTML page."""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from clipspect.demo_pictures import Sample
    from clipspect.frame import Frame
    from clipspect.inspector import Inspector
    from clipspect.result import Result

_DESCRIPTION = """Inspect the shipped images with the embedded demo model: no network, no weights, no torch. A
demonstration and a test fixture, not a product for a line."""

NEXT_STEPS = """pip install "clipspect[export]"
clipspect export winclip --backbone ViT-B-16-plus-240 --weights laion400m_e32 --object "metal nut" --out nuts.bundle
clipspect run nuts.bundle photos/ --out results/"""


@dataclass(frozen=True, eq=False)
class Inspected:
    """A sample with its truth and what was found."""

    sample: Sample
    frame: Frame
    mask: npt.NDArray[np.bool_]  # (H, W) of the image; all False for a good one
    result: Result


@dataclass(frozen=True)
class Figures:
    """A row of the table. AUROCs are None where there is only one class."""

    name: str
    good: int
    defective: int
    image_auroc: float | None
    pixel_auroc: float | None
    milliseconds: float  # median of whole inspections, one image at a time


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
    from clipspect.cli.page import demo_page
    from clipspect.demo_pictures import read_samples
    from clipspect.files import atomic_file
    from clipspect.inspector import load

    images, samples = read_samples()
    with load("demo") as inspector:
        items = _inspect_all(inspector, images, samples)
        device = f"{inspector.backend} on {inspector.device}"
        low, high = inspector.map_range
    table = measure(items)
    _write_overlays(args.out, items, low, high)
    page = args.out / "index.html"
    with atomic_file(page) as file:
        file.write(demo_page(items, table, device=device, heat=(low, high)).encode())
    print(_table(table))
    print(f"\nOne image at a time, {device}, decoding and map included. Drawn images of families that the demo model")
    print("never saw in training: a demonstration and a test fixture, not a product for a line.")
    print(f"\n{len(items)} overlays and a page to look at: {page}")
    print(f"\nNext, with real weights:\n\n{NEXT_STEPS}")
    return 0


def measure(items: list[Inspected]) -> list[Figures]:
    """A row for each family, then their mean, then all images in one ranking."""
    families = sorted({item.sample.family for item in items})
    rows = [_figures(name, [item for item in items if item.sample.family == name]) for name in families]
    together = _figures("all in one ranking", items)
    mean = Figures(
        "mean of families",
        together.good,
        together.defective,
        _mean([row.image_auroc for row in rows]),
        _mean([row.pixel_auroc for row in rows]),
        together.milliseconds,
    )
    return [*rows, mean, together]


def _figures(name: str, items: list[Inspected]) -> Figures:
    import numpy as np

    from clipspect.evaluation.metrics import auroc

    defective = [item.sample.mask is not None for item in items]
    masks = np.concatenate([item.mask.ravel() for item in items])
    maps = np.concatenate([item.result.anomaly_map.ravel() for item in items])
    return Figures(
        name,
        good=defective.count(False),
        defective=defective.count(True),
        image_auroc=auroc(defective, [item.result.score for item in items]),
        pixel_auroc=auroc(masks, maps),
        milliseconds=statistics.median(item.result.timings.total for item in items),
    )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def _inspect_all(inspector: Inspector, folder: Path, samples: list[Sample]) -> list[Inspected]:
    from tqdm import tqdm

    from clipspect.demo_pictures import read_mask

    items = []
    for sample in tqdm(samples, unit=" images", disable=None, file=sys.stderr, leave=False):
        frame = inspector.prepare(folder / sample.file)
        items.append(Inspected(sample, frame, read_mask(folder, sample, frame.size), inspector.score([frame])[0]))
    return items


def _write_overlays(out: Path, items: list[Inspected], low: float, high: float) -> None:
    from clipspect.files import atomic_file
    from clipspect.overlay import HeatScale, render

    for item in items:
        with atomic_file(out / "overlays" / f"{Path(item.sample.file).stem}.jpg") as file:
            render(item.frame.image, item.result, HeatScale(low, high)).save(file, "JPEG", quality=90)


def _table(rows: list[Figures]) -> str:
    lines = [f"{'family':22}{'good':>6}{'defective':>11}{'image AUROC':>13}{'pixel AUROC':>13}{'ms':>8}"]
    for row in rows:
        lines.append(
            f"{row.name:22}{row.good:6d}{row.defective:11d}"
            f"{percent(row.image_auroc):>13}{percent(row.pixel_auroc):>13}{row.milliseconds:8.1f}"
        )
    lines.insert(len(lines) - 2, "-" * len(lines[0]))
    return "\n".join(lines)


def percent(value: Any) -> str:
    """An AUROC as the field writes it: per cent with one digit."""
    return "-" if value is None else f"{100 * value:.1f}"
