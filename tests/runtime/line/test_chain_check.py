"""An auditor's day: a record edited, deleted, inserted, reordered, cut: each is named with its line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipspect.inspection.record import Link
from clipspect.line.chain_check import Break, ChainCheck
from clipspect.sinks.chain import Chain
from clipspect.sinks.records import Line
from support.records import chained, make_record

IN_ANY_TIME = settings(suppress_health_check=[HealthCheck.too_slow])  # other tests run beside
LINES = [record.to_json().encode() for record in chained(make_record(number) for number in range(1, 13))]
OTHER = [record.to_json().encode() for record in chained(make_record(number) for number in range(1, 4))]


def breaks(contents: list[bytes], after: str | None = None, *, whole: bool = True) -> list[Break]:
    check = ChainCheck(after)
    for number, content in enumerate(contents, 1):
        check.add(Line(Path("results.jsonl"), number, content, whole or number < len(contents)))
    return check.breaks()


def told(contents: list[bytes]) -> list[tuple[str, int]]:
    return [(found.kind, found.line) for found in breaks(contents)]


def edited(line: bytes) -> bytes:
    return line.replace(b'"verdict": "pass"', b'"verdict": "fail"')


def made_again(number: int, **changes: object) -> bytes:
    """A line with other words that fits the one before it, and proves itself."""
    link = json.loads(LINES[number - 2])["chain"]
    return Chain(Link(**link)).linked(make_record(number, **changes)).to_json().encode()


def test_a_chain_that_is_as_it_was_written_has_no_break() -> None:
    assert breaks(LINES) == []
    assert breaks(LINES[:1]) == breaks([]) == []
    assert breaks(LINES[4:], after=json.loads(LINES[3])["chain"]["digest"]) == []


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        pytest.param([*LINES[:4], edited(LINES[4]), *LINES[5:]], [("edited", 5)], id="edited"),
        pytest.param([edited(LINES[0]), *LINES[1:]], [("edited", 1)], id="the first edited"),
        pytest.param([*LINES[:-1], edited(LINES[-1])], [("edited", 12)], id="the last edited"),
        pytest.param([*LINES[:4], *map(edited, LINES[4:7]), *LINES[7:]], [("edited", 5)], id="three edited"),
        pytest.param(
            [*LINES[:4], made_again(5, verdict="fail"), *LINES[5:]], [("edited", 5)], id="edited, its digest made again"
        ),
        pytest.param([*LINES[:4], LINES[4][:300], *LINES[5:]], [("edited", 5)], id="shortened"),
        pytest.param([*LINES[:4], b"", *LINES[5:]], [("edited", 5)], id="emptied"),
        pytest.param([*LINES[:4], LINES[4][:300] + b"\0" * 700, *LINES[5:]], [("edited", 5)], id="zeros"),
        pytest.param([*LINES[:4], *LINES[5:]], [("deleted", 5)], id="deleted"),
        pytest.param([*LINES[:2], *LINES[3:7], *LINES[9:]], [("deleted", 3), ("deleted", 7)], id="deleted twice"),
        pytest.param(LINES[2:], [("cut", 1)], id="cut at its beginning"),
        pytest.param([*LINES[:4], edited(LINES[2]), *LINES[4:]], [("inserted", 5)], id="an edited one inserted"),
        pytest.param([*LINES[:4], LINES[2], *LINES[4:]], [("inserted", 5)], id="a copy inserted"),
        pytest.param([*LINES, LINES[2]], [("inserted", 13)], id="a copy at the end"),
        pytest.param([*LINES[:4], OTHER[1], *LINES[4:]], [("inserted", 5)], id="one of another log inserted"),
        pytest.param([*LINES[:4], made_again(5), *LINES[4:]], [("inserted", 5)], id="one that fits inserted"),
        pytest.param([*LINES[:4], b"{}", b"notes", *LINES[4:]], [("inserted", 5)], id="something else inserted"),
        pytest.param([*LINES, made_again(5)], [("inserted", 13)], id="one that follows another at the end"),
        pytest.param([*LINES, *OTHER], [("inserted", 13)], id="another log behind it"),
        pytest.param([*LINES[:4], LINES[5], LINES[4], *LINES[6:]], [("reordered", 5)], id="two exchanged"),
        pytest.param([*LINES[:-2], LINES[-1], LINES[-2]], [("reordered", 11)], id="the last two exchanged"),
        pytest.param(
            [LINES[1], LINES[0], *LINES[2:]], [("reordered", 1), ("reordered", 2)], id="the first two exchanged"
        ),
        pytest.param([*LINES[:2], *LINES[5:8], *LINES[2:5], *LINES[8:]], [("reordered", 3)], id="some moved up"),
        pytest.param([*LINES[:2], *LINES[3:], LINES[2]], [("reordered", 3)], id="one moved to the end"),
        pytest.param(
            [*LINES[:2], edited(LINES[2]), *LINES[3:6], *LINES[8:]], [("edited", 3), ("deleted", 7)], id="two things"
        ),
    ],
)  # fmt: skip
def test_what_was_done_to_a_log_is_named_with_its_line(contents: list[bytes], expected: list[tuple[str, int]]) -> None:
    assert told(contents) == expected


def test_a_last_line_that_is_cut_short_is_named() -> None:
    (found,) = breaks([*LINES[:4], LINES[4][:200]], whole=False)
    assert (found.kind, found.line) == ("cut", 5)
    assert found.words == ("results.jsonl: line 5: it is cut short: clipspect watch takes it away when it is started")


def test_the_words_say_which_line_of_the_chain() -> None:
    assert [found.words for found in breaks([*LINES[:4], *LINES[6:]])] == [
        "results.jsonl: line 5: lines 5 to 6 of the chain are missing before it: deleted"
    ]
    assert [found.words for found in breaks([*LINES[:4], LINES[5], LINES[4], *LINES[6:]])] == [
        "results.jsonl: line 5: moved here: line 6 of the chain"
    ]
    (found,) = breaks(LINES[3:])
    assert "it is line 4 of the chain; those before are not here" in found.text
    (found,) = breaks(LINES[4:], after="0" * 64)
    assert "the line before it has not the digest that was given" in found.text


Change = Callable[[list[bytes], int, int], list[bytes]]
CHANGES: dict[str, Change] = {
    "deleted": lambda lines, at, to: [*lines[:at], *lines[at + 1 :]],
    "edited": lambda lines, at, to: [*lines[:at], _bit_changed(lines[at], to), *lines[at + 1 :]],
    "copied": lambda lines, at, to: [*lines[:to], lines[at], *lines[to:]],
    "moved": lambda lines, at, to: [*(rest := [*lines[:at], *lines[at + 1 :]])[:to], lines[at], *rest[to:]],
}


def _bit_changed(line: bytes, bit: int) -> bytes:
    place = bit * 7919 % (8 * len(line))
    changed = bytearray(line)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


@IN_ANY_TIME
@given(st.sampled_from(sorted(CHANGES)), st.integers(0, 11), st.integers(0, 11))
def test_no_change_but_of_the_end_goes_unseen_and_the_first_is_told_near_its_place(name: str, at: int, to: int) -> None:
    changed = CHANGES[name](LINES, at, to)
    first = next((number for number, (a, b) in enumerate(zip(changed, LINES), 1) if a != b), len(LINES))
    if changed == LINES or (changed == LINES[: len(changed)]):
        assert breaks(changed) == []
    else:
        assert abs(breaks(changed)[0].line - first) <= 1


@IN_ANY_TIME
@given(st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 11), st.integers(0, 11)), max_size=5))
def test_whatever_is_done_to_a_log_only_what_is_a_beginning_of_it_is_whole(changes: list[tuple[str, int, int]]) -> None:
    changed = LINES
    for name, at, to in changes:
        changed = CHANGES[name](changed, min(at, len(changed) - 1), to)
    assert (breaks(changed) == []) == (changed == LINES[: len(changed)])


def test_a_log_that_somebody_filtered_is_checked_in_time() -> None:
    lines = [record.to_json().encode() for record in chained(make_record(number) for number in range(2000))]
    assert told(lines[::2]) == [("deleted", number) for number in range(2, 1001)]
    assert told([*lines[::2], *lines[1::2]]) == [("reordered", 2), ("reordered", 1001)]


def test_a_line_is_checked_with_nothing_but_a_sha256(tmp_path: Path) -> None:
    import hashlib

    previous = None
    for number, line in enumerate(LINES, 1):
        content, _, rest = line.rpartition(b', "digest": "')
        assert rest == hashlib.sha256(content).hexdigest().encode() + b'"}}'
        link = json.loads(line)["chain"]
        assert (link["line"], link["previous"]) == (number, previous)
        previous = link["digest"]


def test_linking_changes_nothing_else_in_a_record() -> None:
    record = make_record(7, id="caf\udce9")
    linked = Chain().linked(record)
    assert dataclasses.replace(linked, chain=None) == record
