"""The demo's one HTML page: self-contained, no script, images inside."""

from __future__ import annotations

import base64
import html
import io
from string import Template
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from clipspect.base.version import __version__
from clipspect.sinks.overlay import draw_heat, outline
from clipspect.sinks.overlay_colours import HeatScale, colours
from clipspect_lab.demo.inspected import InspectedPicture
from clipspect_lab.demo.page_template import PAGE, STYLE
from clipspect_lab.demo.table import TableRow, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIDE = 240  # pixels of a picture's longer side in the gallery
_TRUTH = (40, 220, 120)


def demo_page(
    items: Sequence[InspectedPicture],
    table: Sequence[TableRow],
    *,
    device: str,
    scale: HeatScale,
    next_steps: str,
) -> str:
    """The page's text. `table` ends with the mean of the families and all images in one ranking."""
    mean = table[-2]
    worst_first = sorted(items, key=lambda item: -item.result.score)
    return Template(PAGE).substitute(
        style=STYLE,
        image_auroc=percent(mean.figures.image_auroc),
        pixel_auroc=percent(mean.figures.pixel_auroc),
        milliseconds=f"{mean.milliseconds:.0f}" if mean.milliseconds >= 10 else f"{mean.milliseconds:.1f}",
        count=len(items),
        good=mean.figures.good,
        defective=mean.figures.defective,
        families=len(table) - 2,
        device=html.escape(device),
        version=html.escape(__version__),
        strip=_score_strip(items),
        rows="\n".join(_table_row(row, total=row in table[-2:]) for row in table),
        bar=_colour_bar(),
        low=f"{scale.low:g}",
        high=f"{scale.high:g}",
        cards="\n".join(_card(item, scale) for item in worst_first),
        next_steps=html.escape(next_steps),
    )


def _card(item: InspectedPicture, scale: HeatScale) -> str:
    picture, result = item.picture, item.result
    bad = picture.mask is not None
    found = draw_heat(item.frame.image, result, scale, longest=_SIDE)
    truth = item.frame.image.resize(found.size, Image.Resampling.BICUBIC)
    mask = Image.fromarray(item.mask).convert("L").resize(found.size, Image.Resampling.BILINEAR)
    truth = outline(truth, np.asarray(mask) > 127, _TRUTH)
    kind = html.escape(picture.defect or "defect") if bad else "good"
    return f"""<figure class="card">
<div class="pair"><img src="{_data_url(truth)}" alt="the image, its defect outlined"><img src="{_data_url(found)}"
alt="what the model found"></div>
<figcaption><span class="score">{result.score:.3f}</span><span class="chip {"bad" if bad else "good"}">{kind}</span>
<span class="family">{html.escape(picture.family)}</span></figcaption></figure>"""


def _table_row(row: TableRow, total: bool) -> str:
    found = row.figures
    cells = [
        found.good,
        found.defective,
        percent(found.image_auroc),
        percent(found.pixel_auroc),
        f"{row.milliseconds:.1f}",
    ]
    tag = ' class="total"' if total else ""
    return f"<tr{tag}><th>{html.escape(found.name)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _score_strip(items: Sequence[InspectedPicture]) -> str:
    """Every image as a tick on one axis of raw scores: good above, defective below."""
    scores = [item.result.score for item in items]
    low, high = min(scores), max(scores)
    span = (high - low) or 1.0
    ticks = []
    for item in items:
        bad = item.picture.mask is not None
        x, y = 20 + 960 * (item.result.score - low) / span, 52 if bad else 12
        ticks.append(f'<rect class="{"bad" if bad else "good"}" x="{x - 2:.1f}" y="{y}" width="4" height="32" rx="2"/>')
    return f"""<svg viewBox="0 0 1000 118" role="img" aria-label="scores of good and defective images">
<line x1="20" y1="48" x2="980" y2="48"/>{"".join(ticks)}
<text x="20" y="108">{low:.3f}</text><text x="500" y="108" text-anchor="middle">score</text>
<text x="980" y="108" text-anchor="end">{high:.3f}</text></svg>"""


def _colour_bar() -> str:
    stops = colours(np.linspace(0, 1, 9, dtype=np.float32)).astype(int).tolist()
    return f"linear-gradient(90deg, {', '.join(f'rgb({r}, {g}, {b})' for r, g, b in stops)})"


def _data_url(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
