"""The page of a lot: the images that are most unlike the others, with their heat, and the whole ranking."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clipspect.frame.decode import as_image
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record
from clipspect.sinks.overlay import draw_heat, fitting, shrunk
from clipspect.sinks.overlay_colours import HeatScale
from clipspect.sinks.report_page import Html, code, escape, facts, lead, section, table, write_page
from clipspect.sinks.report_pictures import LONGEST, card, gallery, pair_of
from clipspect.sinks.sink import Sink

MOST_PICTURES, MOST_ROWS = 40, 2000  # that a page can hold and a browser can show


class LotPage(Sink):
    """Takes records in their ranking, the most anomalous first, and writes the page at the end."""

    keeps_pictures = True

    def __init__(self, path: Path, scale: HeatScale) -> None:
        self._path, self._scale = path, scale
        self._cards: list[Html] = []
        self._rows: list[Sequence[object]] = []
        self._errors: list[tuple[str, str]] = []
        self._record: Record | None = None
        self._count = 0

    def take(self, record: Record, outcome: Outcome) -> None:
        self._record = record
        if outcome.result is None:
            self._errors.append((record.item.name, record.error or ""))
            return
        self._count += 1
        score = f"{outcome.result.score:.4g}"
        if len(self._rows) < MOST_ROWS:
            self._rows.append((self._count, score, record.item.name))
        if len(self._cards) < MOST_PICTURES and outcome.frame is not None and outcome.frame.picture is not None:
            small = shrunk(as_image(outcome.frame.picture), fitting(outcome.result.size, LONGEST))
            words = f'<span class="score">{self._count}. {score}</span><span class="name">{escape(record.item.name)}'
            line = Html(f'<div class="line">{words}</span></div>')
            heat = draw_heat(small, outcome.result, self._scale)
            self._cards.append(card(pair_of(small, heat, record.item.name), [line]))

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None and self._record is not None:
            write_page(self._path, "A lot, judged against itself", self._parts(self._record))

    def _parts(self, record: Record) -> list[Html]:
        unread = f", {len(self._errors)} could not be read" if self._errors else ""
        judged = f"{self._count} images are ranked by how unlike the others they are{unread}."
        words = "There are no limits and no verdicts: a score says where in this lot to look first, and only that."
        shown = "Each image, and where it is unlike the others, on one scale for all."
        listed = "" if len(self._rows) == self._count else f"The first {len(self._rows)}; the results have all of them."
        engine = record.engine
        parts = [
            lead("", judged, words),
            section("Most unlike the others", shown, gallery(self._cards)),
            section("All images", listed, table(["rank", "score", "image"], self._rows)),
            section("Images that could not be read", table(["image", "why"], self._errors)),
            section(
                "What scored",
                facts(
                    [
                        ("bundle", record.bundle.name), ("bundle's digest", code(record.bundle.digest)),
                        ("method", f"mutual scoring of patches of {record.bundle.method}"),
                        ("engine", f"{engine.backend} on {engine.device}"), ("precision", engine.precision),
                    ]
                ),
            ),
        ]  # fmt: skip
        return [part for index, part in enumerate(parts) if index != 3 or self._errors]
