"""Is a log's chain whole, and if not: which line was edited, deleted, inserted, moved or cut?

The lines are seen as runs: lines that follow each other in the chain. Whatever lies between two runs, and whatever the
numbers of their ends leave out or say twice, tells what was done. docs/audit.md says what cannot be told.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clipspect.inspection.record import Link
from clipspect.line.number_ranges import NumberRanges
from clipspect.sinks.chain import digest_of, link_of
from clipspect.sinks.records import Line

Kind = Literal["edited", "deleted", "inserted", "reordered", "cut", "rewritten"]

_REMEMBERED = 10_000  # last lines of a run, behind which an insertion is still found exactly
_RUNS_BACK = 50  # runs that a line can go on with, after what was put between


@dataclass(frozen=True)
class Break:
    """What was done to a log, and where it shows."""

    kind: Kind
    file: Path
    line: int  # of that file, from 1; where lines are missing, the one behind them
    text: str

    @property
    def words(self) -> str:
        return f"{self.file}: line {self.line}: {self.text}"


@dataclass(frozen=True)
class _Place:
    file: Path
    line: int
    order: int  # over all files


@dataclass
class _Run:
    """Lines that prove themselves and follow each other."""

    first: Link
    last: Link
    place: _Place  # of the first line
    end: _Place
    recent: deque[tuple[str, _Place]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))  # digests

    def goes_on_with(self, link: Link) -> bool:
        return (link.log, link.previous, link.line) == (self.last.log, self.last.digest, self.last.line + 1)

    def add(self, link: Link, place: _Place) -> None:
        self.last, self.end = link, place
        self.recent.append((link.digest, place))


@dataclass
class _Damaged:
    """Lines one after the other that do not prove themselves."""

    place: _Place  # of the first
    link: Link | None  # what the first says of its place
    text: str
    count: int = 1


class ChainCheck:
    """Give it the lines in their order, then ask for the breaks. `last` is the last link of the chain so far.

    `after` is the digest of the line before the first, where the lines before are kept elsewhere.
    """

    def __init__(self, after: str | None = None) -> None:
        self._after = after
        self._segments: list[_Run | _Damaged] = []
        self._inserted: list[_Run | _Damaged] = []
        self._zeros: list[tuple[int, Break]] = []
        self._order = 0

    def add(self, line: Line) -> Link | None:
        """The line's place in the chain, where it proves itself."""
        place = _Place(line.path, line.number, self._order)
        self._order += 1
        content = line.content.lstrip(b"\0")
        link = link_of(content) if line.whole else None
        if link is not None and content != line.content:
            count = len(line.content) - len(content)
            text = f"{count} zeros stand before it, as where the file was cut while it was written"
            self._zeros.append((self._order - 1, _break("inserted", place, text)))
        if link is None or digest_of(content) != link.digest:
            self._add_damaged(line, link, place)
            return None
        for back, run in enumerate(reversed(self._segments[-_RUNS_BACK:]), 1):
            if isinstance(run, _Run) and run.goes_on_with(link):
                cut = len(self._segments) - back + 1
                self._inserted += self._segments[cut:]
                del self._segments[cut:]
                run.add(link, place)
                return link
        run = _Run(link, link, place, place)
        run.add(link, place)
        self._segments.append(run)
        return link

    @property
    def first(self) -> Link | None:
        return next((segment.first for segment in self._segments if isinstance(segment, _Run)), None)

    @property
    def last(self) -> Link | None:
        return next((segment.last for segment in reversed(self._segments) if isinstance(segment, _Run)), None)

    def breaks(self) -> list[Break]:
        """What was done, in the order of the lines where it shows."""
        runs, inserted = (
            [(run.first.line, run.last.line) for run in segments if isinstance(run, _Run)]
            for segments in (self._segments, self._inserted)
        )
        self._in_place, self._everywhere = NumberRanges(runs), NumberRanges([*runs, *inserted])
        found = sorted([*self._zeros, *self._moved_or_inserted(), *self._between()], key=lambda pair: pair[0])
        where = next((run.place for run in self._segments[1:] if isinstance(run, _Run)), None)
        unnamed = where is not None and (not found or found[0][0] > where.order)
        if where is not None and unnamed and isinstance(run := self._segments[0], _Run):
            text = f"another line than line {run.last.line + 1} of the chain stands here"
            return [_break("reordered", where, text), *(item for _, item in found)]
        return [item for _, item in found]

    def _add_damaged(self, line: Line, link: Link | None, place: _Place) -> None:
        if self._segments and isinstance(before := self._segments[-1], _Damaged):
            before.count += 1
            return
        if link is not None:
            text = f"its bytes do not fit its digest; it says that it is line {link.line} of the chain"
        elif not line.whole:
            text = "it is cut short"
        elif b"\0" in line.content:
            text = "it holds zeros, as after a power cut"
        else:
            text = "it does not end with its place in a chain"
        self._segments.append(_Damaged(place, link, text))

    def _moved_or_inserted(self) -> list[tuple[int, Break]]:
        found = []
        for segment in self._inserted:
            place = segment.place
            if isinstance(segment, _Damaged):
                text = f"{_these(segment.count, 'was', 'were')} inserted: the chain goes on without; {segment.text}"
                found.append((place.order, _break("inserted", place, text)))
                continue
            count = segment.last.line - segment.first.line + 1
            if segment.first.log != self._log:
                text = f"{_these(count, 'was', 'were')} inserted: of another log ({segment.first.log})"
                found.append((place.order, _break("inserted", place, text)))
            elif self._in_place.holding(segment.first.line):
                text = f"{_these(count, 'was', 'were')} inserted: {_numbers(segment)} of the chain is there besides"
                found.append((place.order, _break("inserted", place, text)))
            else:
                text = f"moved here: {_numbers(segment)} of the chain"
                found.append((place.order, _break("reordered", place, text)))
        return found

    def _between(self) -> list[tuple[int, Break]]:
        found: list[tuple[int, Break]] = []
        before: _Run | None = None
        damaged: _Damaged | None = None
        for segment in self._segments:
            if isinstance(segment, _Damaged):
                damaged = segment
                continue
            found += self._at(before, damaged, segment)
            before, damaged = segment, None
        if damaged is not None:
            found.append((damaged.place.order, _edited(damaged, sure=damaged.link is not None)))
        return found

    def _at(self, before: _Run | None, damaged: _Damaged | None, run: _Run) -> list[tuple[int, Break]]:
        """What lies between two runs, or before the first."""
        first, place = run.first, run.place
        if before is None and damaged is None and self._begins(first):
            return []
        if before is not None and before.first.log != first.log:
            return [(place.order, _break("inserted", place, f"here begins another log ({first.log})"))]
        found: list[tuple[int, Break]] = []
        if before is not None:
            expected = before.last.line + 1
        elif damaged is None:
            if self._after is None and first.line > 1 and not self._everywhere.missing(1, first.line - 1):
                text = f"line {first.line} of the chain stands before those that it follows"
                return [(place.order, _break("reordered", place, text))]
            return [(place.order, _break("cut", place, self._beginning(first)))]
        else:
            expected = 1 if self._after is None else first.line - damaged.count
        if damaged is not None:
            found.append((damaged.place.order, _edited(damaged, sure=first.line == expected + damaged.count)))
            expected += damaged.count
        if first.line > expected:
            missing = self._everywhere.missing(expected, first.line - 1)  # the others are told where they stand
            found += [(place.order, _deleted(start, end, place)) for start, end in missing]
        elif damaged is None and before is not None:
            found.append(self._twice(before, run))
        return found

    def _beginning(self, first: Link) -> str:
        if self._after is not None:
            return f"it is line {first.line} of the chain, and the line before it has not the digest that was given"
        return (
            f"it is line {first.line} of the chain; those before are not here: give their files, or with --after the "
            "digest that was kept of the line before"
        )

    def _twice(self, before: _Run, run: _Run) -> tuple[int, Break]:
        """A run that begins with a number that is there already, or with the right one behind another line."""
        first = run.first
        known = [digest for digest, _ in before.recent]
        fork = known.index(first.previous) + 1 if first.previous in known[:-1] else len(known)
        if 0 < len(known) - fork <= run.last.line - first.line + 1:  # of two that follow one line, the shorter is false
            place = before.recent[fork][1]
            text = (
                f"{_these(len(known) - fork, 'was', 'were')} inserted: line {first.line} of the chain follows without"
            )
            return place.order, _break("inserted", place, text)
        if first.line == before.last.line + 1:
            text = f"it was edited and its digest made again: line {first.line} of the chain follows another one"
            return before.end.order, _break("edited", before.end, text)
        if self._in_place.holding(first.line) > 1:  # itself is one
            text = f"{_numbers(run)} of the chain is there already: inserted"
            return run.place.order, _break("inserted", run.place, text)
        text = f"moved here: {_numbers(run)} of the chain, behind line {before.last.line}"
        return run.place.order, _break("reordered", run.place, text)

    @property
    def _log(self) -> str | None:
        return None if self.first is None else self.first.log

    def _begins(self, first: Link) -> bool:
        if self._after is not None:
            return first.previous == self._after
        return first.line == 1 and first.previous is None


def _break(kind: Kind, place: _Place, text: str) -> Break:
    return Break(kind, place.file, place.line, text)


def _edited(damaged: _Damaged, *, sure: bool) -> Break:
    done = "edited" if sure else "edited or inserted"
    if damaged.text.startswith("it is cut"):
        return _break("cut", damaged.place, f"{damaged.text}: clipspect watch takes it away when it is started")
    return _break("edited", damaged.place, f"{_these(damaged.count, 'was', 'were')} {done}: {damaged.text}")


def _deleted(start: int, end: int, place: _Place) -> Break:
    text = f"line {start} of the chain is" if start == end else f"lines {start} to {end} of the chain are"
    return _break("deleted", place, f"{text} missing before it: deleted")


def _these(count: int, one: str, more: str) -> str:
    return f"it {one}" if count == 1 else f"it and {count - 1} more {more}"


def _numbers(run: _Run) -> str:
    first, last = run.first.line, run.last.line
    return f"line {first}" if first == last else f"lines {first} to {last}"
