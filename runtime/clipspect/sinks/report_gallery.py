"""The gallery of a run: every image under its heat, to be sorted, filtered, and looked at in full with its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from PIL import Image

from clipspect.inspection.explanation_words import explanation_lines
from clipspect.inspection.result import Result
from clipspect.sinks.overlay import UNMARKED, fitting, shrunk
from clipspect.sinks.overlay_colours import HeatScale
from clipspect.sinks.overlay_reasons import reason_places
from clipspect.sinks.report_charts import score_bar
from clipspect.sinks.report_encode import heat_within, jpeg_within
from clipspect.sinks.report_page import Html, chip, escape
from clipspect.sinks.score_axis import score_axis

SMALL, LARGE, HEAT = 320, 1280, 160  # pixels of the longer side: of a card, in full, and of the heat
SMALL_BYTES, LARGE_BYTES, HEAT_BYTES = 18_000, 150_000, 6_000  # at most: 1,000 cards and 48 in full are under 50 MB
MOST_MARKS = 30  # regions that are outlined
UNJUDGED = "no verdict"


@dataclass(frozen=True, eq=False)
class RunPicture:
    """An image of a run as its page shows it."""

    number: int  # in the order of the run
    name: str
    verdict: str
    severity: int
    score: float
    size: tuple[int, int]
    photo: str = field(repr=False)  # data URIs
    heat: str = field(repr=False)  # empty where there is none
    marks: str = field(repr=False)  # SVG, empty where nothing is marked
    lines: tuple[Html, ...] = field(repr=False)
    reasons: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(
        cls, number: int, name: str, severity: int, image: Image.Image, result: Result, scale: HeatScale
    ) -> RunPicture:
        small = shrunk(image, fitting(image.size, min(SMALL, max(image.size))))
        heat = result.map_in(*fitting(result.size, min(HEAT, max(result.size))))
        explained = result.explanation
        reasons = () if explained is None else explanation_lines(explained, result.regions, result.map_limit)
        return cls(
            number=number,
            name=name,
            verdict=result.verdict or UNJUDGED,
            severity=severity,
            score=result.score,
            size=result.size,
            photo=jpeg_within(small, SMALL_BYTES),
            heat=heat_within(heat, scale, HEAT_BYTES),
            marks=_marks(result),
            lines=tuple(card_lines(name, result)),
            reasons=tuple(reasons),
        )


def in_full(image: Image.Image) -> str:
    """A data URI of an image as it is shown in full; empty where its card has as many pixels."""
    if max(image.size) <= SMALL:
        return ""
    return jpeg_within(shrunk(image, fitting(image.size, min(LARGE, max(image.size)))), LARGE_BYTES)


def run_gallery(pictures: Iterable[RunPicture], full: Mapping[int, str]) -> Html:
    """The cards in the order given, with what sorts and filters them; `full` are `in_full`, by number."""
    cards = list(pictures)
    verdicts = dict.fromkeys(card.verdict for card in cards)
    filters = "".join(
        f'<label><input type="checkbox" class="filter" value="{escape(verdict)}" checked> {escape(verdict)}</label>'
        for verdict in verdicts
    )
    return Html(
        f"""<div class="controls" hidden><label>Sort by <select id="sort"><option value="rank">the worst first</option>
<option value="score">score</option><option value="name">name</option><option value="number">order of the run</option>
</select></label>{filters if len(verdicts) > 1 else ""}<label>Heat
<input type="range" id="heat" min="0" max="100" value="70"></label></div>
<div class="gallery run">
"""
        + "\n".join(_card(rank, card, full.get(card.number, "")) for rank, card in enumerate(cards))
        + "\n</div>\n"
        + _VIEWER
    )


_VIEWER = """<dialog id="viewer"><div class="bar"><button id="before">previous</button><button id="after">next</button>
<label>Heat <input type="range" id="opacity" min="0" max="100" value="70"></label>
<label><input type="checkbox" id="marks" checked> marks</label><button id="close">close</button></div>
<div id="shown"></div><div id="said"></div></dialog>"""


def _card(rank: int, card: RunPicture, full: str) -> str:
    name, (width, height) = escape(card.name), card.size
    heat = f'<img class="heat" src="{card.heat}" alt="heat of {name}">' if card.heat else ""
    more = f' data-full="{full}"' if full else ""
    said = "".join(map(_reason_item, card.reasons))
    reasons = f'<details class="reasons"><summary>reasons</summary><ul>{said}</ul></details>' if said else ""
    lines = "".join(card.lines)
    return (
        f'<figure class="card run" data-rank="{rank}" data-number="{card.number}" data-score="{card.score:.9g}" '
        f'data-verdict="{escape(card.verdict)}" data-name="{name}">'
        f'<button class="open" aria-label="{name} in full"><span class="stack" style="--ratio: {width}/{height}">'
        f'<img class="photo" loading="lazy" src="{card.photo}"{more} alt="{name}">{heat}{card.marks}</span></button>'
        f"<figcaption>{lines}{reasons}</figcaption></figure>"
    )


def _reason_item(line: str) -> str:
    """What stands in belongs to the region above it."""
    kind = ' class="of"' if line.startswith(" ") else ""
    return f"<li{kind}>{escape(line.strip())}</li>"


def _marks(result: Result) -> str:
    """The regions of a part that did not pass, and the window or patch that each of them is explained by."""
    if result.verdict in UNMARKED or not result.regions:
        return ""
    shapes = [_rectangle("region", r.x, r.y, r.width, r.height) for r in result.regions[:MOST_MARKS]]
    shapes += [_rectangle("window", p.x, p.y, p.width, p.height) for _, p in reason_places(result)]
    width, height = result.size
    return (
        f'<svg class="marks" viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">'
        f"{''.join(shapes)}</svg>"
    )


def _rectangle(kind: str, x: int, y: int, width: int, height: int) -> str:
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}"/>'


def card_lines(name: str, result: Result) -> list[Html]:
    """Score, verdict and name; why it is invalid; and the score between its limits."""
    verdict = "" if result.verdict is None else chip(result.verdict)
    lines = [f'<span class="score">{result.score:.4g}</span>{verdict}<span class="name">{escape(name)}</span>']
    lines += [escape(reason) for reason in result.reasons]
    axis = score_axis(result.recipe, result.limits) if result.verdict != "invalid" else None
    bar = [] if axis is None else [score_bar(axis, result.score)]
    return [*(Html(f'<div class="line">{line}</div>') for line in lines), *bar]
