"""The audit of a log: is its chain whole, and what decided on which of its records?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from clipspect.base.document import MismatchError
from clipspect.base.progress import Progress, quiet
from clipspect.inspection.record import BundleRecord, EngineRecord, Link, RecipeRecord, Record
from clipspect.line.chain_check import Break, ChainCheck
from clipspect.recipes.limits import Limits
from clipspect.sinks.kept_link import CHAIN, RESULTS, read_kept_link
from clipspect.sinks.records import Line, first_line, lines_of, log_of, parse_record
from clipspect.sinks.sorting import verdict_folder


@dataclass(frozen=True)
class Decision:
    """What decided on a record."""

    bundle: BundleRecord
    recipe: RecipeRecord
    limits: Limits | None
    map_limit: float | None
    engine: EngineRecord
    version: str

    def joined(self, other: Decision) -> Decision | None:
        """Both as one, where they are the same. The record of an error says nothing of limits."""
        first = self if self.map_limit is not None else replace(self, limits=other.limits, map_limit=other.map_limit)
        second = other if other.map_limit is not None else replace(other, limits=self.limits, map_limit=self.map_limit)
        return first if first == second else None


@dataclass
class Span:
    """Records one after the other that the same decided on. The lines are numbers of the chain."""

    decision: Decision
    first_line: int
    last_line: int
    since: str  # time of the first record, and of the last
    until: str
    verdicts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Audit:
    """What there is to say of a log."""

    files: tuple[Path, ...]
    lines: int
    last: Link | None  # its digest is to be kept elsewhere
    breaks: tuple[Break, ...]
    spans: tuple[Span, ...]  # of the records between the two times that were given

    @property
    def whole(self) -> bool:
        return not self.breaks


def audit(
    paths: Sequence[Path],
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    after: str | None = None,
    expected: str | None = None,
    progress: Progress = quiet,
) -> Audit:
    """Check a log in its files, of which the rotated ones beside it are found by themselves, and may be given, too.

    The times, of which both belong to it, choose what the spans tell of; the chain is checked from end to end. `after`
    is the digest of the line before the first one, `expected` that of any line, as they were kept elsewhere. What
    `clipspect watch` keeps of the chain beside results.jsonl is compared, too. Raises ClipspectError where a file
    cannot be read.
    """
    given = {path.resolve(): path for path in paths}
    paths = [path for path in given.values() if (log := log_of(path)) is None or log.resolve() not in given]
    kept = [link for path in paths if path.name == RESULTS and (link := read_kept_link(path.parent / CHAIN))]
    check, spans, ends = ChainCheck(after), _Spans(since, until), _Ends(kept, expected)
    files: list[Path] = []
    count = 0
    line = Line(paths[-1], 0, b"", whole=True)
    for path in sorted(paths, key=_first):
        for line in lines_of(path):
            if line.path not in files[-1:]:
                files.append(line.path)
            count += 1
            link = check.add(line)
            ends.see(line, link)
            if link is not None:
                spans.add(line, link)
            progress("audit", count, math.inf)
    breaks = (*check.breaks(), *spans.breaks, *ends.breaks(line))
    return Audit(tuple(files or paths), count, check.last, breaks, tuple(spans.found))


class _Spans:
    """Collects spans of the lines that prove themselves, and the lines that are no records for all that."""

    def __init__(self, since: datetime | None, until: datetime | None) -> None:
        self.found: list[Span] = []
        self.breaks: list[Break] = []
        self._since, self._until = since, until

    def add(self, line: Line, link: Link) -> None:
        try:
            record = parse_record(line.content, "it")
            time = datetime.fromisoformat(record.time)
        except (MismatchError, ValueError) as error:
            self.breaks.append(Break("edited", line.path, line.number, f"it proves itself and is no record: {error}"))
            return
        if (self._since is None or time >= self._since) and (self._until is None or time <= self._until):
            self._add(record, link)

    def _add(self, record: Record, link: Link) -> None:
        decision = _decision(record)
        joined = self.found[-1].decision.joined(decision) if self.found else None
        if joined is None:
            self.found.append(Span(decision, link.line, link.line, record.time, record.time))
        span = self.found[-1]
        span.decision = joined or decision
        span.last_line, span.until = link.line, record.time
        span.verdicts[verdict_folder(record)] += 1


class _Ends:
    """Compares a log with the links that were kept of it."""

    def __init__(self, kept: Sequence[Link], expected: str | None) -> None:
        self._kept, self._expected = kept, expected
        self._logs: set[str] = set()
        self._newest = 0
        self._proves_itself = True  # the last line
        self._made_again: list[Break] = []

    def see(self, line: Line, link: Link | None) -> None:
        self._proves_itself = link is not None
        if link is None:
            return
        self._logs.add(link.log)
        self._newest = max(self._newest, link.line)
        for kept in self._kept:
            if (kept.log, kept.line) == (link.log, link.line) and kept.digest != link.digest:
                text = f"line {link.line} of the chain is another than the one that was written ({CHAIN} says so)"
                self._made_again.append(Break("rewritten", line.path, line.number, text))
        if link.digest == self._expected:
            self._expected = None

    def breaks(self, last: Line) -> Iterator[Break]:
        yield from self._made_again
        for kept in self._kept:
            if self._logs and kept.log not in self._logs:
                text = f"this is another log than the one that was written here, {kept.log} ({CHAIN} says so)"
                yield Break("rewritten", last.path, 1, text)
            elif self._newest < kept.line and self._proves_itself:
                lines = (
                    f"lines {self._newest + 1} to {kept.line} are"
                    if self._newest + 1 < kept.line
                    else f"line {kept.line} is"
                )
                yield Break("cut", last.path, last.number + 1, f"{lines} missing at the end: cut off ({CHAIN} says so)")
        if self._expected is not None:
            text = f"no line has the digest {self._expected}: the log was cut before it, or made again"
            yield Break("cut", last.path, last.number + 1, text)


def _decision(record: Record) -> Decision:
    return Decision(record.bundle, record.recipe, record.limits, record.map_limit, record.engine, record.version)


def _first(path: Path) -> tuple[bool, int]:
    """By the number in the chain; files without any come last."""
    number = first_line(path) if path.is_file() else None
    return (number is None, number or 0)
