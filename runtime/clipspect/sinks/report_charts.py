"""The charts of the reports, as SVG inside the page. Their words are HTML beside it, so that they stay readable when
the chart is narrow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from clipspect.recipes.limits import Limits
from clipspect.sinks.report_page import Html, escape
from clipspect.sinks.score_axis import ScoreAxis

_WIDTH, _HEIGHT = 1000, 160  # of the drawing's own units; it is stretched to the page's width
_MOST_BINS = 40
_TICKS = 5
_STACK = ("pass", "uncertain", "fail", "invalid", None)  # of a bar, from below
_NEAR_END = 0.15  # of the width: a label there grows inwards


def histogram(good: Sequence[float], defects: Sequence[float], limits: Limits | None) -> Html:
    """Scores of good parts as bars, both limits as lines, defective parts as red ticks below the axis."""
    marks = [] if limits is None else [limits.review, limits.reject]
    low, high = _padded([*good, *defects, *marks])

    def at(value: float) -> float:
        return (value - low) / (high - low)

    counts, edges = _bars(good)
    most = max(counts)
    shapes = [
        _rectangle("good", at(left), at(right) - 0.001, _HEIGHT * (1 - count / most), _HEIGHT)
        for count, left, right in zip(counts, edges[:-1], edges[1:])
        if count
    ]
    shapes += [_line("axis", 0, 1, _HEIGHT, _HEIGHT)]
    shapes += [_line("defect", at(score), at(score), _HEIGHT + 4, _HEIGHT + 26) for score in defects]
    labels = []
    if limits is not None:
        for name, value in (("review", limits.review), ("reject", limits.reject)):
            shapes.append(_line(f"limit {name}", at(value), at(value), 0, _HEIGHT + 28))
            labels.append(label_row([(at(value), f"{name} {value:.4g}")]))  # a row each: they can be close
    height = _HEIGHT + 30
    words = f"{len(good)} good parts, up to {most} in a bar; {len(defects)} defective parts"
    svg = (
        f'<svg viewBox="0 0 {_WIDTH} {height}" preserveAspectRatio="none" height="{height}" role="img" '
        f'aria-label="{escape(words)}">{"".join(shapes)}</svg>'
    )
    ticks = label_row([(at(tick), f"{tick:.10g}") for tick in nice_ticks(low, high)])
    return Html(f'{_key(defects, limits, most)}<div class="chart">{"".join(labels)}{svg}{ticks}</div>')


def score_histogram(scores: Mapping[str | None, Sequence[float]], limits: Limits | None) -> Html:
    """Scores of a run as bars, stacked by verdict (None: without one), and both limits as lines."""
    every = [score for own in scores.values() for score in own]
    low, high = _padded([*every, *([] if limits is None else [limits.review, limits.reject])])
    counts = {name: np.histogram(own, bins=_MOST_BINS, range=(low, high))[0] for name, own in scores.items()}
    most = int(np.sum(list(counts.values()), axis=0).max())
    shapes, base = [], np.zeros(_MOST_BINS)
    for name in sorted(counts, key=_STACK.index):
        kind = "good" if name is None else f"zone {name}"
        for place in np.flatnonzero(counts[name]):
            bottom, top = (_HEIGHT * (1 - level / most) for level in (base[place], base[place] + counts[name][place]))
            shapes.append(_rectangle(kind, place / _MOST_BINS, (place + 0.94) / _MOST_BINS, top, bottom))
        base += counts[name]
    shapes.append(_line("axis", 0, 1, _HEIGHT, _HEIGHT))
    labels = []
    for name, value in [] if limits is None else [("review", limits.review), ("reject", limits.reject)]:
        at = (value - low) / (high - low)
        shapes.append(_line(f"limit {name}", at, at, 0, _HEIGHT))
        labels.append(label_row([(at, f"{name} {value:.4g}")]))
    entries = [
        (f'<rect class="{"good" if name is None else f"zone {name}"}" x="4" width="14" height="12"/>', name or "scores")
        for name in sorted(counts, key=_STACK.index)
    ]
    svg = (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" height="{_HEIGHT}" role="img" '
        f'aria-label="{len(every)} scores, up to {most} in a bar">{"".join(shapes)}</svg>'
    )
    ticks = label_row([((tick - low) / (high - low), f"{tick:.10g}") for tick in nice_ticks(low, high)])
    return Html(f'{_samples(entries)}<div class="chart">{"".join(labels)}{svg}{ticks}</div>')


def strip(kinds: Sequence[tuple[str, str, Sequence[float]]]) -> Html:
    """Scores of several kinds as ticks on one axis, a row each: a kind's name, a verdict for its colour, its scores."""
    low, high = _padded([score for *_, scores in kinds for score in scores])
    row, shapes, entries = 40, [], []
    for number, (name, verdict, scores) in enumerate(kinds):
        for score in scores:
            x = (score - low) / (high - low)
            shapes.append(_rectangle(f"zone {verdict}", x - 0.002, x + 0.002, number * row + 4, (number + 1) * row - 4))
        entries.append((f'<rect class="zone {verdict}" x="9" width="4" height="12"/>', f"{name}, a tick each"))
    height = row * len(kinds)
    words = ", ".join(f"{len(scores)} {name}" for name, _, scores in kinds)
    svg = (
        f'<svg viewBox="0 0 {_WIDTH} {height}" preserveAspectRatio="none" height="{height}" role="img" '
        f'aria-label="scores: {escape(words)}">{"".join(shapes)}{_line("axis", 0, 1, height - 0.5, height - 0.5)}</svg>'
    )
    ticks = label_row([((tick - low) / (high - low), f"{tick:.10g}") for tick in nice_ticks(low, high)])
    return Html(f'{_samples(entries)}<div class="chart">{svg}{ticks}</div>')


def score_bar(axis: ScoreAxis, score: float) -> Html:
    """The score between both limits: the zones of the verdicts, and a needle."""
    zones = "".join(
        f'<rect class="zone {verdict}" x="{number(start * 200)}" y="6" width="{number((end - start) * 200)}" '
        'height="8"/>'
        for verdict, start, end in axis.zones()
        if start < end
    )
    x = min(max(200 * axis.share(score), 2), 198)
    needle = f'<path class="needle" d="M{number(x - 4)} 0H{number(x + 4)}L{number(x)} 14Z"/>'
    words = f"score {score:.4g}; review {axis.limits.review:.4g}, reject {axis.limits.reject:.4g}"
    return Html(
        f'<div class="scorebar"><svg viewBox="0 0 200 15" preserveAspectRatio="none" height="15" role="img" '
        f'aria-label="{words}">{zones}{needle}</svg></div>'
    )


def _bars(good: Sequence[float]) -> tuple[list[int], list[float]]:
    """How many scores lie in each bar, and the bars' edges: from the lowest to the highest, so that none reaches over a
    limit that lies above all of them.
    """
    bins = min(_MOST_BINS, max(10, round(2 * math.sqrt(len(good)))))
    low, high = min(good), max(good)
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-290):  # equal, but for rounding
        return [len(good)], [low, high]
    counts, edges = np.histogram(np.asarray(good, np.float64), bins=bins)
    return counts.tolist(), edges.tolist()


def _key(defects: Sequence[float], limits: Limits | None, most: int) -> str:
    line = '<line class="{}" x1="0" y1="6" x2="22" y2="6"/>'
    entries = [('<rect class="good" x="4" width="14" height="12"/>', f"good parts, up to {most} in a bar")]
    if defects:
        entries.append(('<line class="defect" x1="11" y1="0" x2="11" y2="12"/>', "defective parts, a tick each"))
    if limits is not None:
        entries.append((line.format("limit review"), "review: uncertain from here"))
        entries.append((line.format("limit reject"), "reject: fail from here"))
    return _samples(entries)


def _samples(entries: Sequence[tuple[str, str]]) -> str:
    """What each shape means."""
    samples = (f'<svg viewBox="0 0 22 12" aria-hidden="true">{shape}</svg>{escape(words)}' for shape, words in entries)
    return f'<div class="key">{"".join(f"<span>{sample}</span>" for sample in samples)}</div>'


def _padded(values: Sequence[float]) -> tuple[float, float]:
    """A range with all values inside, a little more on each side, and never empty."""
    low, high = min(values), max(values)
    room = (high - low) * 0.04
    if room <= 1e-9 * max(abs(low), abs(high)):
        room = max(abs(low), abs(high), 1.0) * 0.05
    return low - room, high + room


def nice_ticks(low: float, high: float) -> list[float]:
    """About five round numbers in a range."""
    step = 10.0 ** math.floor(math.log10((high - low) / _TICKS))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= _TICKS + 1)
    first = math.ceil(low / step)
    return [float(f"{number * step:.10g}") for number in range(first, math.floor(high / step) + 1)]


def label_row(labels: Sequence[tuple[float, str]]) -> str:
    """A row of words, each at its share of the width."""
    spans = []
    for share, text in labels:
        place = "" if share < _NEAR_END else "end" if share > 1 - _NEAR_END else "middle"
        spans.append(f'<span class="{place}" style="left:{number(100 * share)}%">{escape(text)}</span>')
    return f'<div class="labels">{"".join(spans)}</div>'


def _rectangle(kind: str, left: float, right: float, top: float, bottom: float) -> str:
    width, height = number(max(right - left, 0.004) * _WIDTH), number(bottom - top)
    return f'<rect class="{kind}" x="{number(left * _WIDTH)}" y="{number(top)}" width="{width}" height="{height}"/>'


def _line(kind: str, left: float, right: float, top: float, bottom: float) -> str:
    x1, x2 = number(left * _WIDTH), number(right * _WIDTH)
    return f'<line class="{kind}" x1="{x1}" y1="{number(top)}" x2="{x2}" y2="{number(bottom)}"/>'


def number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
