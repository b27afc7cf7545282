"""The report of a run: one HTML page with the counts, the images that did not pass, and the scores between limits."""

from __future__ import annotations

import dataclasses
import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from clipspect.frame.decode import as_image
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record
from clipspect.inspection.result import Result
from clipspect.recipes.recipe import Recipe
from clipspect.sinks.overlay import draw_heat, fitting, shrunk
from clipspect.sinks.overlay_colours import HeatScale
from clipspect.sinks.report_charts import score_bar
from clipspect.sinks.report_page import (
    Html,
    chip,
    code,
    escape,
    facts,
    lead,
    require_place,
    section,
    table,
    tiles,
    write_page,
)
from clipspect.sinks.report_pictures import LONGEST, card, gallery, pair_of
from clipspect.sinks.report_words import lead_words
from clipspect.sinks.score_axis import score_axis
from clipspect.sinks.sink import Sink

MOST_PICTURES, MOST_ROWS, MOST_ERRORS = 200, 2000, 500  # that a page can hold and a browser can show
_MOST_UNJUDGED = 20  # pictures where the recipe has no limits
_SEVERITY = {"fail": 3, "uncertain": 2, "invalid": 1, None: 0, "pass": 0}
_ORDER = ("fail", "uncertain", "invalid", "pass")
_ERRORS = "could not be inspected"

Kept = TypeVar("Kept")


@dataclass
class Highest(Generic[Kept]):
    """The `count` of all that came with the highest ranks; of equal ranks the first."""

    count: int
    _heap: list[tuple[tuple[int, float], int, Kept]] = field(default_factory=list)
    seen: int = 0

    def wants(self, rank: tuple[int, float]) -> bool:
        """Counts one more that came, and says whether it is to be added."""
        self.seen += 1
        return len(self._heap) < self.count or rank > self._heap[0][0]

    def add(self, rank: tuple[int, float], kept: Kept) -> None:
        push = heapq.heappush if len(self._heap) < self.count else heapq.heapreplace
        push(self._heap, (rank, -self.seen, kept))

    def __iter__(self) -> Iterator[Kept]:
        """The highest first."""
        return (kept for *_, kept in sorted(self._heap, key=lambda entry: entry[:2], reverse=True))

    def __len__(self) -> int:
        return len(self._heap)


class RunReport(Sink):
    """Writes the page when the run ends well. What it keeps is bounded, however long the run is."""

    keeps_pictures = True

    def __init__(self, path: Path, inspector: Inspector, scale: HeatScale) -> None:
        self._path, self._inspector, self._scale = path, inspector, scale
        self._counts: Counter[str] = Counter()
        self._pictures: Highest[Html] = Highest(MOST_PICTURES if inspector.limits else _MOST_UNJUDGED)
        self._rows: Highest[Sequence[object]] = Highest(MOST_ROWS)
        self._errors: list[tuple[str, str]] = []

    def take(self, record: Record, outcome: Outcome) -> None:
        if outcome.result is None:
            self._counts[_ERRORS] += 1
            if len(self._errors) < MOST_ERRORS:
                self._errors.append((record.item.name, record.error or ""))
            return
        result, name = outcome.result, record.item.name
        self._counts[result.verdict or "without a verdict"] += 1
        rank = _SEVERITY[result.verdict], result.score
        if self._rows.wants(rank):
            self._rows.add(rank, _row(name, result))
        if result.verdict != "pass" and outcome.frame is not None and self._pictures.wants(rank):
            assert outcome.frame.picture is not None, "it keeps pictures"
            small = shrunk(as_image(outcome.frame.picture), fitting(result.size, LONGEST))
            heat = draw_heat(small, result, self._scale)
            self._pictures.add(rank, card(pair_of(small, heat, name), _lines(name, result)))

    def __enter__(self) -> RunReport:
        require_place(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            write_page(self._path, f"Inspected with recipe {self._inspector.recipe.name}", self._parts())

    def _parts(self) -> list[Html]:
        recipe = self._inspector.recipe
        worst = next((verdict for verdict in _ORDER if self._counts[verdict]), "")
        if self._errors and worst in {"", "pass"}:
            worst = "invalid"  # nothing is known of an image, as there
        return [
            lead(
                worst, self._summary(), *lead_words(dataclasses.replace(recipe, limits=self._inspector.limits))[1][:1]
            ),
            self._tiles(),
            self._shown(),
            self._table(),
            self._unread(),
            self._judge(recipe),
        ]

    def _summary(self) -> str:
        total = sum(self._counts.values())
        counted = [f"{self._counts[verdict]:,} {verdict}" for verdict in _ORDER if self._counts[verdict]]
        others = [f"{count:,} {words}" for words, count in self._counts.items() if words not in _ORDER]
        images = "1 image" if total == 1 else f"{total:,} images"
        return f"{images}: {', '.join(counted + others)}." if total else "No image was inspected."

    def _tiles(self) -> Html:
        if not any(self._counts[verdict] for verdict in _ORDER):
            return Html("")
        counts = [(f"{self._counts[verdict]:,}", chip(verdict)) for verdict in _ORDER]
        return tiles([*counts, (f"{self._counts[_ERRORS]:,}", _ERRORS)] if self._errors else counts)

    def _shown(self) -> Html:
        heading = "Images that did not pass" if self._inspector.limits else "The highest scores"
        if not len(self._pictures):
            return section(heading, "There are none.")
        words = "Each image, and its heat on one scale for all, with the regions over the map limit outlined."
        if self._pictures.seen > len(self._pictures):
            words += f" The worst {len(self._pictures)} of {self._pictures.seen:,} are shown."
        return section(heading, words, gallery(list(self._pictures)))

    def _table(self) -> Html:
        words = "The worst first."
        if self._rows.seen > len(self._rows):
            words += f" {len(self._rows):,} of {self._rows.seen:,} are listed; the results have all of them."
        return section("All images", words, table(["image", "verdict", "score", "regions"], self._rows))

    def _unread(self) -> Html:
        if not self._errors:
            return Html("")
        found = self._counts[_ERRORS]
        words = [f"The first {len(self._errors)} of {found:,}."] if found > len(self._errors) else []
        return section(f"Images that {_ERRORS}", *words, table(["image", "why"], self._errors))

    def _judge(self, recipe: Recipe) -> Html:
        inspector = self._inspector
        rows: list[tuple[str, object]] = [
            ("bundle", inspector.bundle.path.resolve().name), ("bundle's digest", code(inspector.bundle.digest)),
            ("recipe", recipe.name), ("recipe's digest", code(recipe.digest)),
            ("method", inspector.bundle.manifest.method),
            ("engine", f"{inspector.backend} on {inspector.device}"), ("precision", inspector.precision),
            ("map limit", f"{inspector.map_limit:.6g}"),
        ]  # fmt: skip
        if (limits := inspector.limits) is not None:
            rows += [("review limit", f"{limits.review:.6g}"), ("reject limit", f"{limits.reject:.6g}")]
        return section("What judged", facts(rows))


def _row(name: str, result: Result) -> tuple[object, ...]:
    verdict: object = "-" if result.verdict is None else chip(result.verdict)
    if result.reasons:
        verdict = Html(f"{verdict}<br>{escape('; '.join(result.reasons))}")
    return name, verdict, _score(result), len(result.regions)


def _lines(name: str, result: Result) -> list[Html]:
    verdict = "" if result.verdict is None else chip(result.verdict)
    lines = [f'<span class="score">{result.score:.4g}</span>{verdict}<span class="name">{escape(name)}</span>']
    lines += [escape(reason) for reason in result.reasons]
    axis = score_axis(result.recipe, result.limits) if result.verdict != "invalid" else None
    bar = [] if axis is None else [score_bar(axis, result.score)]
    return [*(Html(f'<div class="line">{line}</div>') for line in lines), *bar]


def _score(result: Result) -> Html:
    axis = score_axis(result.recipe, result.limits) if result.verdict != "invalid" else None
    bar = "" if axis is None else score_bar(axis, result.score)
    return Html(f'<span class="score">{result.score:.4g}</span>{bar}')
