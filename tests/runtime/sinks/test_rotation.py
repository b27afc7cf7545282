"""A log in several files: nothing is lost or twice, whatever interrupts a rotation, and readers see one log."""

from __future__ import annotations

import errno
import json
import os
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clipspect.inspection.record import Record
from clipspect.sinks.kept_link import CHAIN
from clipspect.sinks.log import Log
from clipspect.sinks.log_file import Position
from clipspect.sinks.records import read_records
from clipspect.sinks.rotation import Rotation, parse_rotation
from support.records import make_record

CALLS = ("open", "write", "pwrite", "fsync", "rename", "ftruncate", "close")  # between which a process can be killed
SMALL = Rotation(size=3_000)  # two or three records


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("results*.jsonl"))


def append(log: Log, *numbers: int) -> None:
    for number in numbers:
        log.take(log.linked(make_record(number)))


def took(log: Log, record: Record) -> bool:
    try:
        log.take(record)
    except OSError:  # a full disk; anything else is a ClipspectError
        return False
    return True


def scores(path: Path) -> list[float | None]:
    return [record.score for record in read_records(path)]


def is_whole(path: Path) -> bool:
    links = [record.chain for record in read_records(path)]
    follows = zip([None, *links], links)
    return all(
        link is not None
        and (link.line, link.previous) == ((1, None) if before is None else (before.line + 1, before.digest))
        for before, link in follows
    )


def test_a_file_ends_before_the_line_that_would_make_it_too_large(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with closing(Log(path, SMALL)) as log:
        append(log, *range(10))
        sizes = [(tmp_path / name).stat().st_size for name in files(tmp_path)]
        assert len(sizes) > 3
        assert max(sizes) <= 3_000
        assert list(read_records(path)) == [read for read in read_records(path) if read.chain]
        assert [line for line, _ in log.lines(Position.before(1))] == [
            record.to_json().encode() for record in read_records(path)
        ]
    assert scores(path) == [number / 1000 for number in range(10)]
    assert is_whole(path)


def test_a_file_ends_with_its_day_also_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    for days in (["26", "26"], ["26", "27"], ["27", "28"]):
        with closing(Log(path, Rotation(daily=True))) as log:
            for day in days:
                log.take(log.linked(make_record(1, time=f"2026-11-{day}T23:59:59.000+00:00")))
    *ended, current = [_days_in(tmp_path / name) for name in files(tmp_path)]
    assert ([current], sorted(ended)) == ([["28"]], [["26"] * 3, ["27"] * 2])
    assert is_whole(path)


def _days_in(path: Path) -> list[str]:
    return [json.loads(line)["time"][8:10] for line in path.read_text().splitlines()]


def test_killed_at_any_call_the_log_goes_on_where_it_was(tmp_path: Path) -> None:
    for at in range(200):
        folder = tmp_path / str(at)
        folder.mkdir()
        path = folder / "results.jsonl"
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            _append_and_be_killed(path, at, tell)
        os.close(tell)
        _, status = os.waitpid(child, 0)
        taken = len(os.read(told, 100))
        os.close(told)
        with closing(Log(path, SMALL)) as log:
            assert log.broken is None
            last = log.last()
            there = 0 if last is None or last.score is None else round(last.score * 1000) + 1
            assert there in {taken, taken + 1}  # killed behind the line, before take returned
            append(log, *range(there, 5))
        assert scores(path) == [number / 1000 for number in range(5)]
        assert is_whole(path)
        if os.WIFEXITED(status):
            assert at > 30  # calls, of five records
            return
    pytest.fail("it was killed each time")


def _append_and_be_killed(path: Path, at: int, tell: int) -> None:
    """Five records, a byte to `tell` for each that is taken; killed before call number `at`."""
    left = [at]

    def counted(call: Any) -> Any:
        def called(*args: Any, **options: Any) -> Any:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return call(*args, **options)

        return called

    write, leave = os.write, os._exit
    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    log = Log(path, SMALL)
    for number in range(5):
        append(log, number)
        write(tell, b".")
    leave(0)


@pytest.mark.parametrize("name", ["open", "write", "pwrite", "fsync", "rename"])
def test_a_disk_that_is_full_anywhere_in_a_rotation_keeps_nothing_from_going_on(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.jsonl"
    call = getattr(os, name)
    failures = []

    def full(*args: Any, **options: Any) -> Any:
        if len(failures) < 3:
            failures.append(name)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return call(*args, **options)

    with closing(Log(path, SMALL)) as log:
        append(log, 0, 1)
        for number in range(2, 6):
            record = log.linked(make_record(number))
            with monkeypatch.context() as patch:
                patch.setattr(os, name, full)
                while not took(log, record):
                    pass
            if number == 3:
                failures.clear()
    assert failures
    assert scores(path) == [number / 1000 for number in range(6)]
    assert is_whole(path)
    with closing(Log(path)) as log:
        assert log.broken is None


def test_a_reader_goes_on_where_it_was_whatever_was_rotated_or_taken_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with closing(Log(path, SMALL)) as log:
        append(log, 0)
        reached = log.end
        append(log, *range(1, 8))
        read = list(log.lines(reached))
        assert [place.line for _, place in read] == list(range(2, 9))
        assert log.bytes_after(reached) == sum(len(line) + 1 for line, _ in read)
        assert log.bytes_after(log.end) == 0
        assert list(log.lines(log.end)) == []
        name, places = log.name, [place for _, place in read]
    first, *_ = [entry for entry in files(tmp_path) if entry != "results.jsonl"]
    (tmp_path / first).unlink()
    with closing(Log(path, SMALL)) as log:
        assert log.broken is None
        assert log.resume(name, places[-1]) == (places[-1], 8)
        place, known = log.resume(name, reached)
        assert place.line > known == reached.line  # some lines between them are not here
        assert log.resume("another", reached) == (place, 0)
        append(log, 8)
    (tmp_path / "results.jsonl").unlink()
    with closing(Log(path, SMALL)) as log:
        assert log.broken is not None
        assert "written and cut off since" in log.broken


@pytest.mark.parametrize("content", [b"", b"\0" * 512, b'{"log": "ab"}', b"not JSON"])
def test_what_is_kept_of_the_chain_may_be_lost_and_is_told_where_it_was_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.jsonl"
    with closing(Log(path)) as log:
        append(log, 0, 1)
    (tmp_path / CHAIN).write_bytes(content)
    with closing(Log(path)) as log:
        assert (log.broken is not None) == bool(content.strip(b"\0"))
        append(log, 2)
    assert is_whole(path)
    with closing(Log(path)) as log:
        assert log.broken is None


def test_what_rotates_a_log_is_a_size_a_day_or_nothing() -> None:
    assert parse_rotation("never") == Rotation()
    assert parse_rotation("day") == Rotation(daily=True)
    assert parse_rotation("20MB") == Rotation(size=20_000_000)
    assert parse_rotation("4kB") == Rotation(size=4_000)
    for text in ("", "20", "MB", "0MB", "-1MB", "1.5MB", "20 MB", "20mb", "week", "9999999999GB"):
        with pytest.raises(ValueError, match="expected a size as 100MB"):
            parse_rotation(text)
