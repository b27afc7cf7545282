"""The demo's one HTML page: self-contained, no script, images inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from clipspect.sinks.outline import outline
from clipspect.sinks.overlay import draw_heat
from clipspect.sinks.overlay_colours import HeatScale, colours
from clipspect.sinks.report_charts import strip
from clipspect.sinks.report_page import Html, escape, panel, section, table, tiles, write_page
from clipspect.sinks.report_pictures import card, gallery, pair_of
from clipspect_lab.demo.inspected import InspectedPicture
from clipspect_lab.demo.table import TableRow, percent

_SIDE = 240  # pixels of a picture's longer side in the gallery
_TRUTH = (40, 220, 120)
_WHAT = """{count} drawn images of {families} families, inspected by the small embedded model. Neither these families
nor these kinds of defect were in its training, and it is shown no good part for comparison: it compares each window of
the image with words for normal and damaged things. It demonstrates and tests; it is no product for a line."""
_PHOTOGRAPHS = """The same model has seen no photograph either, and words tell it little of these. It remembers patches
of good parts instead: a patch is judged by how far it is from the nearest of them, 1 being the mean of good ones."""
_FIGURES = """Image AUROC: the chance that a defective image scores higher than a good one (50 is chance). Pixel AUROC:
the same for pixels, those of good images included. Time: one image at a time, from decoding the file to the map in the
image's size."""


@dataclass(frozen=True, eq=False)
class Remembered:
    """Photographs that were judged by good ones alone."""

    items: Sequence[InspectedPicture]
    row: TableRow
    scale: HeatScale
    references: int


def write_demo_page(
    path: Path,
    items: Sequence[InspectedPicture],
    rows: Sequence[TableRow],
    remembered: Remembered,
    *,
    device: str,
    scale: HeatScale,
    next_steps: str,
) -> None:
    """Write the page. `rows` end with the mean of the families and all images in one ranking. Raises ClipspectError."""
    mean = rows[-2]
    good = [item.result.score for item in items if item.picture.mask is None]
    bad = [item.result.score for item in items if item.picture.mask is not None]
    worst_first = sorted(items, key=lambda item: -item.result.score)
    parts = [
        Html(f"<p>{escape(_WHAT.format(count=len(items), families=len(rows) - 2))}</p>"),
        tiles(
            [
                (percent(mean.figures.image_auroc), "image AUROC, per cent, mean of families"),
                (percent(mean.figures.pixel_auroc), "pixel AUROC, per cent, mean of families"),
                (f"{_milliseconds(mean)} ms", f"an image, median, {device}"),
                (f"{mean.figures.good} + {mean.figures.defective}", "good and defective images"),
            ]
        ),
        Html(f"<p>{escape(_FIGURES)}</p>"),
        section("Scores", panel(strip([("good", "pass", good), ("defective", "fail", bad)]))),
        section(
            "Families",
            table(
                ["family", "good", "defective", "image AUROC", "pixel AUROC", "ms"],
                [_cells(row) for row in rows],
            ),
        ),
        _photographs(remembered),
        section("Images, the highest score first", _key(scale), gallery([_card(item, scale) for item in worst_first])),
        section("Next, with real weights", Html(f"<pre>{escape(next_steps)}</pre>")),
    ]
    write_page(path, "clipspect demo", parts)


def _photographs(remembered: Remembered) -> Html:
    items, row = remembered.items, remembered.row
    good = [item.result.score for item in items if item.picture.mask is None]
    bad = [item.result.score for item in items if item.picture.mask is not None]
    worst_first = sorted(items, key=lambda item: -item.result.score)
    return section(
        f"Photographs: {row.figures.name}, judged by {remembered.references} good ones",
        Html(f"<p>{escape(_PHOTOGRAPHS)}</p>"),
        table(["part", "good", "defective", "image AUROC", "pixel AUROC", "ms"], [_cells(row)]),
        panel(strip([("good", "pass", good), ("defective", "fail", bad)])),
        _key(remembered.scale),
        gallery([_card(item, remembered.scale) for item in worst_first]),
    )


def _cells(row: TableRow) -> list[object]:
    found = row.figures
    image, pixel = percent(found.image_auroc), percent(found.pixel_auroc)
    return [found.name, found.good, found.defective, image, pixel, _milliseconds(row)]


def _milliseconds(row: TableRow) -> str:
    return f"{row.milliseconds:.0f}" if row.milliseconds >= 10 else f"{row.milliseconds:.1f}"


def _card(item: InspectedPicture, scale: HeatScale) -> Html:
    picture, result = item.picture, item.result
    bad = picture.mask is not None
    found = draw_heat(item.frame.image, result, scale, longest=_SIDE)
    truth = item.frame.image.resize(found.size, Image.Resampling.BICUBIC)
    mask = Image.fromarray(item.mask).convert("L").resize(found.size, Image.Resampling.BILINEAR)
    truth = outline(truth, np.asarray(mask) > 127, _TRUTH)
    kind = (picture.defect or "defect") if bad else "good"
    line = (
        f'<div class="line"><span class="score">{result.score:.3f}</span>'
        f'<span class="chip {"fail" if bad else "pass"}">{escape(kind)}</span>'
        f'<span class="name">{escape(picture.family)}</span></div>'
    )
    return card(pair_of(truth, found, picture.file), [Html(line)])


def _key(scale: HeatScale) -> Html:
    stops = colours(np.linspace(0, 1, 9, dtype=np.float32)).astype(int).tolist()
    ramp = f"linear-gradient(90deg, {', '.join(f'rgb({r}, {g}, {b})' for r, g, b in stops)})"
    return Html(
        f"""<div class="key"><span>left: the image, its true defect outlined</span>
<span>right: its heat, the regions over the limit outlined</span>
<span>{scale.low:g} <i class="ramp" style="background: {ramp}"></i> {scale.high:g}, the same for all</span></div>"""
    )
