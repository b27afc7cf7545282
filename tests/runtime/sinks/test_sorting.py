"""Sorted images are what was judged, whatever is written to the watched folder before, meanwhile and after."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clipspect.inspection.record import FileRecord, ItemRecord, Record
from clipspect.sinks.sorting import SORTED, Sorter
from support.records import make_record

JUDGED, NEXT = b"judged " * 3000, b"next -- " * 2625  # of the same length
FAR_BACK = 315532800 * 10**9  # 1980, as a camera has it without a clock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "camera").mkdir()
    return tmp_path / "camera"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture(params=["copy", "move"])
def sorter(request: pytest.FixtureRequest, folder: Path, tmp_path: Path, said: list[str]) -> Sorter:
    return Sorter(request.param, folder, tmp_path, said.append)


def write(folder: Path, content: bytes) -> None:
    """In place, as a camera without a clock does it."""
    (folder / "last.bmp").write_bytes(content)
    os.utime(folder / "last.bmp", ns=(FAR_BACK, FAR_BACK))


def judged(folder: Path, error: str | None = None) -> Record:
    """The record of the file as it is now."""
    status = (folder / "last.bmp").stat()
    file = FileRecord("last.bmp", status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    item = ItemRecord("camera", 0, file.name, None, 9, 6, file)
    return make_record(item=item, files={SORTED: "pass/last.bmp"}, error=error)


def test_what_is_written_in_place_afterwards_does_not_change_it(folder: Path, tmp_path: Path, said: list[str]) -> None:
    write(folder, JUDGED)
    record = judged(folder)
    Sorter("copy", folder, tmp_path, said.append).sort(record)
    write(folder, NEXT)
    goal = tmp_path / "pass/last.bmp"
    assert goal.read_bytes() == JUDGED
    assert (goal.stat().st_mtime_ns, goal.stat().st_mode & 0o777) == (FAR_BACK, 0o644)
    assert (os.listdir(goal.parent), said) == (["last.bmp"], [])


@pytest.mark.parametrize("sorted_before", [False, True])
def test_a_file_that_changed_since_it_was_judged_is_not_sorted_and_told(
    sorter: Sorter, folder: Path, tmp_path: Path, said: list[str], sorted_before: bool
) -> None:
    write(folder, JUDGED)
    record = judged(folder)
    if sorted_before:
        sorter.sort(record)
    write(folder, NEXT)
    sorter.sort(record)
    if sorted_before:  # a restart does the last one again
        assert (tmp_path / "pass/last.bmp").read_bytes() == JUDGED
        assert said == []
    else:
        assert not any((tmp_path / "pass").iterdir())
        assert "last.bmp: has changed since it was inspected: what was inspected is not in" in said[0]
    assert (folder / "last.bmp").read_bytes() == NEXT


def test_a_file_that_changes_while_it_is_copied_is_not_kept(
    folder: Path, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, JUDGED)
    record = judged(folder)
    system = os.copy_file_range

    def slow(source: int, goal: int, count: int) -> int:
        done = system(source, goal, min(count, 5000))
        write(folder, NEXT)
        return done

    monkeypatch.setattr(os, "copy_file_range", slow)
    Sorter("copy", folder, tmp_path, said.append).sort(record)
    assert not any((tmp_path / "pass").iterdir())
    assert len(said) == 1


def test_where_the_system_cannot_copy_it_is_read_and_written(
    folder: Path, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, JUDGED)

    def refused(*_: int) -> int:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", refused)
    Sorter("copy", folder, tmp_path, said.append).sort(judged(folder))
    assert (tmp_path / "pass/last.bmp").read_bytes() == JUDGED


def test_a_file_that_has_gone_is_told_and_a_folder_that_is_away_waited_for(
    sorter: Sorter, folder: Path, tmp_path: Path, said: list[str]
) -> None:
    write(folder, JUDGED)
    record = judged(folder)
    os.rename(folder, tmp_path / "away")
    with pytest.raises(FileNotFoundError):
        sorter.sort(record)
    folder.mkdir()
    assert said == []
    sorter.sort(record)
    assert "last.bmp: has gone since it was inspected" in said[0]


def test_what_could_not_be_inspected_stays_where_it_is_and_is_copied(
    sorter: Sorter, folder: Path, tmp_path: Path, said: list[str]
) -> None:
    write(folder, JUDGED)
    sorter.sort(judged(folder, error="damaged"))
    assert (tmp_path / "pass/last.bmp").read_bytes() == (folder / "last.bmp").read_bytes() == JUDGED
    assert not (tmp_path / "pass/last.bmp").samefile(folder / "last.bmp")
