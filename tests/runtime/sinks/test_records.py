"""Records that are read back are those that were written, over all files of a log in their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipspect import read_records
from clipspect.base.errors import ClipspectError
from clipspect.sinks.records import lines_of, rotated_files
from support.records import chained, make_record, write_lines

ROTATED = "results-2026-11-27T09-{}-00.250Z.jsonl"


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    records = chained([make_record(1, id="caf\udce9"), make_record(2, error="damaged", score=None, verdict=None)])
    write_lines(tmp_path / "results.jsonl", records)
    assert list(read_records(tmp_path / "results.jsonl")) == records
    plain = [make_record(3)]
    write_lines(tmp_path / "others.jsonl", plain)
    assert list(read_records(tmp_path / "others.jsonl")) == plain


def test_rotated_files_come_before_in_the_chains_order_whatever_the_clock_said(tmp_path: Path) -> None:
    records = chained(make_record(number) for number in range(40))
    for minute, first in (("50", 0), ("10", 10), ("20", 20)):  # the clock was set back after the first
        write_lines(tmp_path / ROTATED.format(minute), records[first : first + 10])
    write_lines(tmp_path / "results.jsonl", records[30:])
    (tmp_path / "results-old.jsonl").write_text("another's\n")
    assert list(read_records(tmp_path / "results.jsonl")) == records
    assert list(read_records(tmp_path / ROTATED.format("10"))) == records[10:20]
    (tmp_path / "results.jsonl").unlink()  # between the two steps of a rotation
    assert list(read_records(tmp_path / "results.jsonl")) == records[:30]


def test_a_log_that_is_rotated_while_it_is_read_is_read_whole(tmp_path: Path) -> None:
    records = chained(make_record(number) for number in range(20))
    current = tmp_path / "results.jsonl"
    write_lines(tmp_path / ROTATED.format("10"), records[:10])
    write_lines(current, records[10:19])
    reading = read_records(current)
    read = [next(reading)]
    current.rename(tmp_path / ROTATED.format("20"))
    write_lines(current, records[19:])
    assert [*read, *reading] == records[:19]


def test_two_rotations_while_it_is_opened_leave_the_lines_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "results.jsonl"
    written = chained(make_record(number) for number in range(30))
    write_lines(log, written[:10])

    def rotated_twice(path: Path) -> list[Path]:
        for minute, first in (("10", 10), ("20", 20)):
            path.rename(tmp_path / ROTATED.format(minute))
            write_lines(path, written[first : first + 10])
        return rotated_files(path)

    monkeypatch.setattr("clipspect.sinks.records.rotated_files", rotated_twice)
    assert list(read_records(log)) == written[:20]


def test_a_last_line_that_is_not_whole_is_no_record_yet_any_other_is_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "results.jsonl"
    records = chained(make_record(number) for number in range(3))
    write_lines(path, records)
    path.write_bytes(path.read_bytes() + b'{"schema": 1, "id')
    assert list(read_records(path)) == records
    path.write_text(f"{records[0].to_json()}\n{records[1].to_json()[:100]}\n{records[2].to_json()}\n")
    assert list(read_records(path)) == [records[0], records[2]]
    assert (
        "results.jsonl: line 2: not readable as JSON: left out; see what is wrong with: clipspect audit" in caplog.text
    )
    for line, message in (("[1]", "not readable"), ('{"schema": 2}', "schema 1"), ('{"schema": 1}', "id is missing")):
        path.write_text(line + "\n")
        with pytest.raises(ClipspectError, match=message):
            list(read_records(path))
    with pytest.raises(ClipspectError, match=r"none.jsonl: no such file: expected the results.jsonl"):
        list(read_records(tmp_path / "none.jsonl"))


def test_a_line_that_is_written_while_it_is_read_is_cut_short_once_and_its_rest_is_no_line(tmp_path: Path) -> None:
    log = tmp_path / "results.jsonl"
    log.write_bytes(b'{"a": 1}\n{"a"')
    found = []
    for line in lines_of(log):
        found.append((line.content, line.whole))
        if not line.whole:
            with log.open("ab") as file:
                file.write(b": 2}\n")
    assert found == [(b'{"a": 1}', True), (b'{"a"', False)]
