"""Other programs rename, copy, cut and damage files of a log: it goes on, says so, loses and repeats nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from clipspect.base.errors import ClipspectError
from clipspect.line.audit import audit
from clipspect.line.index import Index
from clipspect.sinks.chain import link_of
from clipspect.sinks.kept_link import CHAIN
from clipspect.sinks.log import Log
from clipspect.sinks.records import lines_of
from clipspect.sources.part import Part
from support.records import make_record

Act = Callable[[Path], object]


def append(log: Log, *numbers: int) -> None:
    for number in numbers:
        log.take(log.linked(make_record(number, id=part(number).id)))


def part(number: int) -> Part:
    return Part(f"{number}.png", 68, number)


def renamed(path: Path) -> None:
    path.rename(path.with_name("results.jsonl.1"))


def renamed_and_created(path: Path) -> None:
    renamed(path)
    path.touch()


def renamed_by_date(path: Path) -> None:
    path.rename(path.with_name("results.jsonl-20261128"))


def copied_and_cut(path: Path) -> None:
    shutil.copyfile(path, path.with_name("results.1.jsonl"))
    os.truncate(path, 0)


def cut_to_nothing(path: Path) -> None:
    os.truncate(path, 0)


def cut_in_a_line(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 20)


def replaced_by_its_copy(path: Path) -> None:
    shutil.copyfile(path, path.with_name("copy"))
    path.with_name("copy").rename(path)


def ended_with_a_note(path: Path) -> None:
    with path.open("a") as file:
        file.write("checked, and found good\n")


KEPT: list[Act] = [renamed, renamed_and_created, renamed_by_date, copied_and_cut, replaced_by_its_copy]
LOST: list[Act] = [Path.unlink, cut_to_nothing]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("act", [*KEPT, *LOST, cut_in_a_line, ended_with_a_note])
def test_whatever_others_do_to_the_file_the_log_goes_on_and_what_is_missing_is_told(
    tmp_path: Path, act: Act, restarted: bool
) -> None:
    path = tmp_path / "results.jsonl"
    log = Log(path)
    append(log, 0, 1, 2)
    if restarted:
        log.close()
    act(path)
    if restarted:
        log = Log(path)
    append(log, 3, 4)
    assert (log.broken is None) == (act in KEPT or act is ended_with_a_note)
    log.close()
    found = [link.line for line in lines_of(path) if (link := link_of(line.content))]
    assert found[-2:] == [4, 5]
    assert found[:-2] == {**{key: [] for key in LOST}, cut_in_a_line: [1, 2]}.get(act, [1, 2, 3])
    assert b"\0" not in path.read_bytes()
    assert audit([path]).whole == (act in KEPT)
    with closing(Log(path)) as log:
        assert log.broken is None
        assert log.link is not None
        assert log.link.line == 5


@pytest.mark.parametrize("act", [*KEPT, *LOST])
def test_what_is_inspected_stays_known_whatever_others_take_away(tmp_path: Path, act: Act) -> None:
    path = tmp_path / "results.jsonl"
    with closing(Log(path)) as log, closing(Index(tmp_path / "index.sqlite", log)) as index:
        for number in range(3):
            append(log, number)
            index.add(part(number))
    act(path)
    with closing(Log(path)) as log, closing(Index(tmp_path / "index.sqlite", log)) as index:
        assert all(part(number) in index for number in range(3))
        assert part(3) not in index
        append(log, 3)
        index.add(part(3))
    with closing(Log(path)) as log, closing(Index(tmp_path / "index.sqlite", log)) as index:
        assert all(part(number) in index for number in range(4))


def test_even_without_the_log_and_its_last_link_what_was_inspected_stays_known_and_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with closing(Log(path)) as log, closing(Index(tmp_path / "index.sqlite", log)) as index:
        for number in range(3):
            append(log, number)
            index.add(part(number))
    path.unlink()
    (tmp_path / CHAIN).unlink()
    for told in (f"{path}: the log that was here, 3 lines, is gone: bring it back", None):
        with closing(Log(path)) as log, closing(Index(tmp_path / "index.sqlite", log)) as index:
            assert index.unknown == told
            assert all(part(number) in index for number in range(3))
            append(log, 4)
            index.add(part(4))


@pytest.mark.parametrize("lost", [False, True], ids=["index", "no index"])
@pytest.mark.parametrize(("line", "whole"), [(0, False), (1, False), (0, True)])
def test_a_hole_of_zeros_is_gone_over_and_only_what_it_took_is_unknown(
    tmp_path: Path, line: int, whole: bool, lost: bool
) -> None:
    path = tmp_path / "results.jsonl"
    with closing(Log(path)) as log, closing(Index(tmp_path / "index.sqlite", log)) as index:
        for number in range(3):
            append(log, number)
            index.add(part(number))
    lines = path.read_bytes().splitlines(keepends=True)
    if whole:  # as a writer leaves it that goes on behind a cut
        lines[line] = bytes(4096) + lines[line]
    else:
        lines[line] = (
            bytes(len(lines[line])) if line == 0 else lines[line][:100].ljust(len(lines[line]) - 1, b"\0") + b"\n"
        )
    path.write_bytes(b"".join(lines))
    if lost:
        (tmp_path / "index.sqlite").unlink()
    with closing(Log(path)) as log, closing(Index(tmp_path / "index.sqlite", log)) as index:
        append(log, 3)
        index.add(part(3))
        known = [part(number) in index for number in range(4)]
        assert known == [not lost or whole or number != line for number in range(4)]
        assert (index.unknown is None) == (not lost or whole)
        assert log.link is not None
        assert log.link.line == 4
    (found, *_) = audit([path]).breaks
    assert found.kind in {"edited", "inserted"}
    assert (found.line, "zeros" in found.text) == (line + 1, True)


@pytest.mark.parametrize("tail", [bytes(5000), bytes(700) + b"\n", b'{"schema": 1, "id": "' + bytes(300) + b"\n"])
def test_a_tail_of_zeros_is_taken_away(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "results.jsonl"
    with closing(Log(path)) as log:
        append(log, 0, 1)
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    with closing(Log(path)) as log:
        assert (log.repaired, log.broken) == (len(tail), None)
        append(log, 2)
    assert path.read_bytes().startswith(whole)
    assert audit([path]).whole


def test_a_file_of_others_without_a_line_end_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text("my notes, in one line")
    with pytest.raises(ClipspectError, match="was not written by clipspect watch or line"):
        Log(path)
    assert path.read_text() == "my notes, in one line"


def test_a_reader_goes_on_behind_what_others_renamed_copied_or_removed(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with closing(Log(path)) as log:
        append(log, 0, 1)
        reached = log.end
        append(log, 2)
        renamed(path)
        assert [place.line for _, place in log.lines(reached)] == [3]  # also before the next line is written
        append(log, 3)
        assert [place.line for _, place in log.lines(reached)] == [3, 4]
        copied_and_cut(path)
        append(log, 4)
        assert [place.line for _, place in log.lines(reached)] == [3, 4, 5]
        path.with_name("results.jsonl.1").unlink()
        path.with_name("results.1.jsonl").unlink()
        append(log, 5)
        renamed_and_created(path)
        append(log, 6)
        assert [place.line for _, place in log.lines(reached)] == [5, 6, 7]


def test_a_copy_that_another_program_keeps_beside_the_log_is_not_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with closing(Log(path)) as log:
        append(log, 0, 1)
        shutil.copyfile(path, tmp_path / "results.jsonl.1")
        append(log, 2)
    assert [line.number for line in lines_of(path)] == [1, 2, 3]
    assert audit([path]).whole
