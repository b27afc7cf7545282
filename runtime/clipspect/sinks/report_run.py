"""The report of a run: one HTML page with the counts, the histogram of scores, and every image with its heat."""

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
from clipspect.sinks.overlay_colours import HeatScale
from clipspect.sinks.report_charts import score_bar, score_histogram
from clipspect.sinks.report_gallery import RunPicture, in_full, run_gallery
from clipspect.sinks.report_page import (
    Html,
    chip,
    code,
    escape,
    facts,
    lead,
    panel,
    require_place,
    section,
    table,
    tiles,
    write_page,
)
from clipspect.sinks.report_script import SCRIPT, STYLE
from clipspect.sinks.report_words import lead_words
from clipspect.sinks.score_axis import score_axis
from clipspect.sinks.sink import Sink

MOST_PICTURES, MOST_ROWS, MOST_ERRORS = 1000, 2000, 500  # that a page can hold and a browser can show
MOST_SCORES = 100_000
MOST_IN_FULL = 48  # the worst, which are kept in more pixels
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


@dataclass
class RunScores:
    """The scores of a run by verdict: of a long one every second, every fourth, ..., so that they are few enough."""

    by_verdict: dict[str | None, list[float]] = field(default_factory=dict)
    counted: int = 0
    _step: int = 1

    def add(self, verdict: str | None, score: float) -> None:
        self.counted += 1
        if self.counted % self._step:
            return
        self.by_verdict.setdefault(verdict, []).append(score)
        if sum(map(len, self.by_verdict.values())) > MOST_SCORES:
            self._step *= 2
            self.by_verdict = {name: scores[::2] for name, scores in self.by_verdict.items()}


class RunReport(Sink):
    """Writes the page when the run ends well. What it keeps is bounded, however long the run is."""

    keeps_pictures = True

    def __init__(self, path: Path, inspector: Inspector, scale: HeatScale) -> None:
        self._path, self._inspector, self._scale = path, inspector, scale
        self._counts: Counter[str] = Counter()
        self._pictures: Highest[RunPicture] = Highest(MOST_PICTURES)
        self._in_full: Highest[tuple[int, str]] = Highest(MOST_IN_FULL)
        self._scores = RunScores()
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
        self._scores.add(result.verdict, result.score)
        if outcome.frame is None or not self._pictures.wants(rank):
            return
        assert outcome.frame.picture is not None, "it keeps pictures"
        image, number = as_image(outcome.frame.picture), self._pictures.seen
        self._pictures.add(rank, RunPicture.of(number, name, rank[0], image, result, self._scale))
        if self._in_full.wants(rank):
            self._in_full.add(rank, (number, in_full(image)))

    def __enter__(self) -> RunReport:
        require_place(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            title = f"Inspected with recipe {self._inspector.recipe.name}"
            write_page(self._path, title, self._parts(), style=STYLE, script=SCRIPT)

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
            self._histogram(),
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

    def _histogram(self) -> Html:
        if not self._scores.counted:
            return Html("")
        return section("Scores", panel(score_histogram(self._scores.by_verdict, self._inspector.limits)))

    def _shown(self) -> Html:
        if not len(self._pictures):
            return section("Images", "There are none.")
        words = (
            "Each image under its heat, on one scale for all; with the regions over the map limit outlined where it "
        )
        words += "did not pass. Click on one to see it in full."
        if self._pictures.seen > len(self._pictures):
            words += f" The worst {len(self._pictures):,} of {self._pictures.seen:,} are shown."
        return section("Images", words, run_gallery(self._pictures, dict(self._in_full)))

    def _table(self) -> Html:
        words = "The worst first."
        if self._rows.seen > len(self._rows):
            words += f" {len(self._rows):,} of {self._rows.seen:,} are listed; the results have all of them."
        rows = table(["image", "verdict", "score", "regions"], self._rows)
        return Html(f"<details><summary>All images in a table. {escape(words)}</summary>{rows}</details>")

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


def _score(result: Result) -> Html:
    axis = score_axis(result.recipe, result.limits) if result.verdict != "invalid" else None
    bar = "" if axis is None else score_bar(axis, result.score)
    return Html(f'<span class="score">{result.score:.4g}</span>{bar}')
