"""Records read back: from the lines of a log, over its rotated files in order, or of any file of JSON lines."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from clipspect.base.document import MismatchError, build
from clipspect.base.errors import ClipspectError
from clipspect.inspection.record import Link, Record
from clipspect.sinks.chain import link_of

_ROTATED = re.compile(r"(.+)-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z(|\.[^.]+)", re.DOTALL)  # the log's stem and suffix
_ROTATED_BY_OTHERS = re.compile(  # results.jsonl.1, results.1.jsonl, results.jsonl-20261128
    r"(.+?)(?:\.[1-9]\d{0,2}|-\d{4}-?\d\d-?\d\d(?:[-T]?\d+)?)(|\.[^.\d][^.]*)", re.DOTALL
)


@dataclass(frozen=True)
class Line:
    """A line of a file, as it is."""

    path: Path
    number: int  # in its file, from 1
    content: bytes  # without the line feed
    whole: bool  # whether it has its line feed

    @property
    def where(self) -> str:
        return f"{self.path}: line {self.number}"


def read_records(path: Path) -> Iterator[Record]:
    """The records of RESULTS.jsonl, the oldest first: of a log, those of its rotated files beside it come before.

    A last line that is not whole is left out: it is being written, or was cut short and is no record yet. So are lines
    that are no records, and a warning tells of them at the end. Raises ClipspectError for a file that cannot be read,
    and for one that has lines and no record.
    """
    read = damaged = 0
    first: MismatchError | None = None  # of what is wrong
    for line in lines_of(path):
        if line.whole or line.path != path:
            try:
                record = parse_record(line.content, line.where)
            except MismatchError as error:
                first, damaged = first or error, damaged + 1
                continue
            read += 1
            yield record
    if first is not None:
        look = f"see what is wrong with: clipspect audit {path}"
        if not read:
            raise ClipspectError(f"{first}: {look}") from first
        others = f"; and {damaged - 1} more lines" if damaged > 1 else ""
        logging.getLogger("clipspect").warning(f"{first}{others}: left out; {look}")


def lines_of(path: Path) -> Iterator[Line]:
    """The lines of a file of JSON lines; of a log also, before them, those of the files that it was rotated to.

    The log may be written to and rotated meanwhile. Raises ClipspectError where a file cannot be read.
    """
    try:
        with ExitStack() as stack:
            current: BinaryIO | None = None
            with suppress(FileNotFoundError, IsADirectoryError):  # while it is rotated there is none for a moment
                current = stack.enter_context(path.open("rb"))
            rotated = rotated_files(path)  # after it was opened: if it is rotated now, it is among them
            if current is None and not rotated:
                raise ClipspectError(f"{path}: no such file: expected the results.jsonl of clipspect watch or run")
            opened = None if current is None else os.fstat(current.fileno())
            if opened is not None and any(os.path.samestat(opened, other.stat()) for other in rotated):
                current = None  # it is read in its place
            for other in rotated:
                with other.open("rb") as file:
                    yield from _lines(other, file)
            if current is not None:
                yield from _lines(path, current)
    except OSError as error:
        raise ClipspectError(
            f"{path}: cannot be read ({error.strerror or error}): check the path and its rights"
        ) from error


def _lines(path: Path, file: BinaryIO) -> Iterator[Line]:
    for number, content in enumerate(file, 1):
        whole = content.endswith(b"\n")
        yield Line(path, number, content.removesuffix(b"\n"), whole)
        if not whole:  # what is written behind it meanwhile is the rest of this line, and no line
            return


def rotated_files(path: Path) -> list[Path]:
    """The files that a log was rotated to, the oldest first by the chain, since a clock can be set back.

    By the log itself, which name the time in their names; or by another program, such as logrotate, when their first
    lines are before the log's. Files of the log's own naming that have no link come last. Raises OSError.
    """
    if not path.parent.is_dir():
        return []
    found = [entry for entry in path.parent.iterdir() if log_of(entry) == path and entry.is_file()]
    own = None
    with suppress(FileNotFoundError):
        own = first_link(path)
    numbered = [(first_link(entry), entry) for entry in found]
    ordered = sorted(
        (link is None, 0 if link is None else link.line, entry.name, entry)
        for link, entry in numbered
        if _ROTATED.fullmatch(entry.name) or _is_before(link, own)
    )
    return [entry for *_, entry in ordered]


def _is_before(link: Link | None, own: Link | None) -> bool:
    """Whether a file goes before the log's own; a copy that another program made of that does not."""
    return link is not None and (own is None or (link.log == own.log and link.line < own.line))


def log_of(path: Path) -> Path | None:
    """The log that was rotated to a file of that name, by itself or by another program; None for any other name."""
    found = _ROTATED.fullmatch(path.name) or _ROTATED_BY_OTHERS.fullmatch(path.name)
    return None if found is None else path.with_name("".join(found.groups()))


def first_line(path: Path) -> int | None:
    """The number in the chain of a file's first line, see `first_link`."""
    link = first_link(path)
    return None if link is None else link.line


def first_link(path: Path) -> Link | None:
    """The first link of a file, with the number that its first line has by that."""
    with path.open("rb") as file:
        for before, line in enumerate(file):
            if (link := link_of(line.rstrip(b"\n"))) is not None:
                return replace(link, line=max(1, link.line - before))
    return None


def parse_record(line: bytes, where: str) -> Record:
    """A line as a record. Raises MismatchError."""
    document = json_object(line)
    if document is None:
        raise MismatchError(f"{where}: not readable as JSON")
    if document.get("schema") != 1:
        raise MismatchError(f"{where}: not a record of schema 1")
    return build(Record, document, where)


def json_object(line: bytes) -> dict[str, Any] | None:
    """A line as a JSON object, without zeros before it. Unlike msgspec, json reads halves of surrogate pairs: a file's
    name can be any bytes.
    """
    try:
        document = json.loads(line.lstrip(b"\0"))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
