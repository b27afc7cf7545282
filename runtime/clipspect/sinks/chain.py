"""The chain of a log's records: each names the digest of the line before it. Specified in docs/audit.md."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import uuid

from clipspect.inspection.record import Link, Record

_DIGITS = 64  # hexadecimal, of a SHA-256
_END_LENGTH = len(', "digest": "') + _DIGITS + len('"}}')
_NO_DIGEST = ', "digest": ""}}'
_LINK = re.compile(
    rb', "chain": \{"log": "(?P<log>[0-9a-f]{32})", "line": (?P<line>[1-9][0-9]{0,17}), '
    rb'"previous": (?:null|"(?P<previous>[0-9a-f]{64})"), "digest": "(?P<digest>[0-9a-f]{64})"\}\}$'
)
_LONGEST_LINK = 320  # bytes


class Chain:
    """The links of one log, one after the other: a new log, or the one that goes on behind a link."""

    def __init__(self, last: Link | None = None) -> None:
        self.last = last  # of the records that were added
        self.log = uuid.uuid4().hex if last is None else last.log

    @property
    def next_line(self) -> int:
        return 1 if self.last is None else self.last.line + 1

    def linked(self, record: Record) -> Record:
        """The record with the link that it has if it is the next to be added."""
        link = Link(self.log, self.next_line, None if self.last is None else self.last.digest, "")
        line = dataclasses.replace(record, chain=link).to_json()
        digest = hashlib.sha256(line.removesuffix(_NO_DIGEST).encode()).hexdigest()
        return dataclasses.replace(record, chain=dataclasses.replace(link, digest=digest))

    def added(self, record: Record) -> Record:
        """The record with its link; the next one goes behind it."""
        record = self.linked(record)
        self.last = record.chain
        return record


def link_of(line: bytes) -> Link | None:
    """What a line, without its line feed, says of its place; None where it does not end with a link."""
    found = _LINK.search(line, max(0, len(line) - _LONGEST_LINK))
    if found is None:
        return None
    previous = found["previous"]
    return Link(
        found["log"].decode(), int(found["line"]), None if previous is None else previous.decode(),
        found["digest"].decode(),
    )  # fmt: skip


def digest_of(line: bytes) -> str:
    """The digest that a line with a link must have."""
    return hashlib.sha256(line[:-_END_LENGTH]).hexdigest()
