"""The page of `clipspect drift --chart`: what has changed, and the control charts, in one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipspect.line.drift import SCORE, Change, Drift, Span
from clipspect.line.drift_charts import FIRST, FIRST_JUDGED, Block, Charts, Ewma, Shares
from clipspect.line.drift_words import minute, promise, verdict
from clipspect.recipes.promise import percent
from clipspect.sinks.report_charts import label_row, nice_ticks, number
from clipspect.sinks.report_page import Html, escape, lead, panel, section, table, write_page

_WIDTH, _HEIGHT = 1000, 140  # of the drawing's own units; it is stretched to the page's width
_APART = 0.2  # of the width: parts nearer to an end of the chart are not labelled beside it
_ROOM = 0.06  # of the height, above and below what is drawn


@dataclass(frozen=True)
class _Point:
    """Of a chart: where the line goes, and what lies around it."""

    part: float
    low: float
    value: float
    high: float


def write_drift_page(path: Path, drift: Drift, charts: Mapping[str, Charts]) -> None:
    """Whole or not at all. Raises ClipspectError."""
    parts = []
    for span in drift.spans:
        if len(drift.spans) > 1:
            parts.append(Html(f"<h2>{escape(f'Recipe {span.recipe}')}</h2>"))
        parts += _span(span, charts[span.recipe])
    write_page(path, "Drift", [*parts, Html(f"<p>{escape(_sentence(promise(drift.false_alarm)))}</p>")])


def _span(span: Span, charts: Charts) -> Iterable[Html]:
    first, *others = verdict(span)
    yield lead("uncertain" if span.found else "pass", _sentence(first), *map(_sentence, others))
    if span.changes:
        rows = [
            (change.quantity, change.points_to, *change.values,
             f"{change.part:,}, {minute(change.time)}", f"{change.found_part:,}, {minute(change.found_time)}")
            for change in span.changes
        ]  # fmt: skip
        yield section("Changes", table(["What", "Look at", "Before", "After", "Since part", "Found at"], rows))
    if span.parts < FIRST:
        yield Html(f"<p>{escape(f'There are too few parts for charts of averages: they begin with {FIRST}.')}</p>")
    for quantity, average in charts.averages.items():
        if average.blocks.rows:
            yield section(
                f"{quantity[0].upper()}{quantity[1:]}: moving average",
                panel(_average_chart(average, [change for change in span.changes if change.quantity == quantity])),
                _average_words(quantity, charts.calibrated),
            )
    if charts.shares.blocks.rows:
        words = f"of the first {FIRST_JUDGED} parts" if charts.shares.expected is None else "promised by calibration"
        yield section(
            "Share of parts that are not passed",
            panel(_share_chart(charts.shares)),
            f"A point is {charts.shares.blocks.size} parts. The middle line is the share {words}; the others lie three "
            "standard errors from it.",
        )


def _average_words(quantity: str, calibrated: int) -> str:
    known = f"the {calibrated} parts of calibration" if quantity == SCORE and calibrated >= FIRST else (
        f"the first {FIRST} values"
    )  # fmt: skip
    of = "passed parts" if quantity == SCORE else "all frames"
    return (
        f"Exponentially weighted, of {of}. The middle line is the mean of {known}; the others lie three standard "
        "errors from it. Dashed: where a change began."
    )


def _average_chart(average: Ewma, changes: Sequence[Change]) -> Html:
    middle, reach = average.centre, average.reach
    points = [_Point((row.first + row.last) / 2, row.low, row.end, row.high) for row in average.blocks.rows]
    return _chart(points, _parts(average.blocks.rows), (middle - reach, middle, middle + reach), changes)


def _share_chart(shares: Shares) -> Html:
    middle, reach = shares.centre, shares.reach
    rows = [row for row in shares.blocks.rows if row.count == shares.blocks.size] or shares.blocks.rows
    points = [_Point((row.first + row.last) / 2, *(row.total / row.count,) * 3) for row in rows]
    limits = max(0.0, middle - reach), middle, min(1.0, middle + reach)
    return _chart(points, _parts(rows), limits, (), percent)


def _parts(rows: Sequence[Block]) -> tuple[int, int]:
    return rows[0].first, rows[-1].last


def _chart(
    points: Sequence[_Point],
    parts: tuple[int, int],
    limits: tuple[float, float, float],
    changes: Sequence[Change],
    said: Callable[[float], str] = "{:.4g}".format,
) -> Html:
    """The line through the points, the band that their values lie in, and the middle and both limits as they are said.

    `parts` are the first and the last of all, which a point in the middle of its block is not.
    """
    low = min(*limits, *(point.low for point in points))
    high = max(*limits, *(point.high for point in points))
    room = (high - low) * _ROOM or abs(high) * _ROOM or 1.0
    first, last = parts[0], max(parts[1], parts[0] + 1)

    def share(part: float) -> float:
        return min(max((part - first) / (last - first), 0), 1)

    def at(part: float, value: float) -> str:
        return f"{number(share(part) * _WIDTH)} {number((high + room - value) / (high - low + 2 * room) * _HEIGHT)}"

    upper = [at(point.part, point.high) for point in points]
    lower = [at(point.part, point.low) for point in reversed(points)]
    shapes = [f'<path class="band" d="M{"L".join([*upper, *lower])}Z"/>']
    shapes += [f'<path class="axis" d="M{at(first, limit)}L{at(last, limit)}"/>' for limit in limits]
    shapes.append(f'<path class="average" d="M{"L".join(at(point.part, point.value) for point in points)}"/>')
    for change in changes:
        x = number(share(change.part) * _WIDTH)
        shapes.append(f'<path class="limit review" d="M{x} 0V{_HEIGHT}"/>')
    lowest, middle, highest = limits
    above = label_row([(0, f"middle {said(middle)}, limits {said(lowest)} and {said(highest)}")])
    inner = [tick for tick in nice_ticks(first, last) if tick == round(tick) and _APART < share(tick) < 1 - _APART]
    ticks = [(share(tick), f"{tick:,.0f}") for tick in (first, *inner, last)]
    words = f"{len(points)} points from part {first:,.0f} to {last:,.0f}"
    return Html(
        f'<div class="chart">{above}<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" '
        f'height="{_HEIGHT}" role="img" aria-label="{escape(words)}">{"".join(shapes)}</svg>{label_row(ticks)}</div>'
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
