"""A file that is NAME.partial until it is whole: one writer, and nobody's whole file is cut."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clipspect.base import temporary
from clipspect.base.errors import ClipspectError
from clipspect.sinks import partial_file
from clipspect.sinks.partial_file import PartialFile


def opened(path: Path) -> PartialFile:
    file = PartialFile(path)
    file.open()
    return file


def test_it_has_its_name_when_it_is_whole_and_begins_anew_over_what_a_killed_process_left(tmp_path: Path) -> None:
    path = tmp_path / "out" / "results.csv"
    path.parent.mkdir()
    path.with_name("results.csv.partial").write_text("what a killed process left, which is longer")
    file = opened(path)
    file.write("whole")
    assert not path.exists()
    file.close(whole=True)
    assert [(entry.name, entry.read_text()) for entry in path.parent.iterdir()] == [("results.csv", "whole")]


def test_a_second_writer_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    first = opened(tmp_path / "a.csv")
    first.write("first")
    with pytest.raises(ClipspectError, match="another clipspect writes there"):
        opened(tmp_path / "a.csv")
    first.close(whole=True)
    assert (tmp_path / "a.csv").read_text() == "first"


def test_a_file_that_became_whole_while_a_second_writer_opened_it_is_not_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(tmp_path / "a.csv")
    first.write("first")

    def after_the_first(handle: int) -> bool | None:
        first.close(whole=True)
        return temporary.lock_at_once(handle)

    monkeypatch.setattr(partial_file, "lock_at_once", after_the_first)
    with pytest.raises(ClipspectError, match="another clipspect writes there"):
        opened(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "first"
    assert os.listdir(tmp_path) == ["a.csv"]
