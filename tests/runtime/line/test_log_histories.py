"""A log and its index through any history of restarts, rotations by others and damage: nothing lost, nothing twice."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from clipspect.line.index import Index
from clipspect.sinks.kept_link import CHAIN
from clipspect.sinks.log import Log
from clipspect.sinks.records import json_object, lines_of
from clipspect.sinks.rotation import Rotation
from clipspect.sources.part import Part
from support.records import make_record


def part(number: int) -> Part:
    return Part(f"{number}.png", 68, number)


class Watcher:
    """A log with its index in a folder, as a watcher has them, and what other programs do there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "results.jsonl"
        self.came = 0  # parts, all of which stay in the watched folder
        self._open()

    def _open(self) -> None:
        self.log = Log(self.path, Rotation(size=8000))
        self.index = Index(self.folder / ".watch/index.sqlite", self.log)

    def close(self) -> None:
        self.index.close()
        self.log.close()

    def restart(self) -> None:
        self.close()
        self._open()

    def inspect(self, *, killed: bool = False) -> None:
        """Two new parts, and those that are not known any more; `killed` before the last is in the index."""
        self.came += 2
        new = [number for number in range(self.came) if part(number) not in self.index]
        for number in new:
            self.log.take(self.log.linked(make_record(number, id=part(number).id)))
            if not (killed and number == new[-1]):
                self.index.add(part(number))
        if killed:
            self.restart()

    def inspect_and_be_killed(self) -> None:
        self.inspect(killed=True)

    def lose_the_index(self) -> None:
        self.close()
        for file in (self.folder / ".watch").glob("index.sqlite*"):
            file.unlink()
        self._open()

    def lose_the_last_link(self) -> None:
        self.close()
        (self.folder / CHAIN).unlink()
        self._open()

    # --- other programs ---

    def rename(self) -> None:
        if self.path.exists():
            self.path.rename(self._shifted())

    def rename_and_create(self) -> None:
        self.rename()
        self.path.touch()

    def copy_and_cut(self) -> None:
        if self.path.exists():
            shutil.copyfile(self.path, self._shifted())
            os.truncate(self.path, 0)

    def replace_by_a_copy(self) -> None:
        if self.path.exists():
            shutil.copyfile(self.path, self.folder / "copy")
            (self.folder / "copy").rename(self.path)

    def cut(self) -> None:
        if self.path.exists():
            os.truncate(self.path, max(0, self.path.stat().st_size - 700))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def remove_an_older_one(self) -> None:
        for file in sorted(self.folder.glob("results?*jsonl*"))[1:2]:
            file.unlink()

    def add_zeros(self) -> None:
        with self.path.open("ab") as file:
            file.write(bytes(600))

    def _shifted(self) -> Path:
        """As logrotate does: results.jsonl.1 becomes .2, and so on."""
        files = sorted(self.folder.glob("results.jsonl.[0-9]*"), key=lambda file: -int(file.suffix[1:]))
        for file in files:
            file.rename(file.with_suffix(f".{int(file.suffix[1:]) + 1}"))
        return self.path.with_name("results.jsonl.1")

    def lines(self) -> Counter[str]:
        """By their parts' ids."""
        if not list(self.folder.glob("results*")) or not self.came:
            return Counter()
        documents = (json_object(line.content) for line in lines_of(self.path))
        return Counter(document["id"] for document in documents if document is not None)


Act = Callable[[Watcher], object]
GENTLE: list[Act] = [
    Watcher.inspect, Watcher.inspect_and_be_killed, Watcher.restart, Watcher.lose_the_index, Watcher.rename,
    Watcher.rename_and_create, Watcher.copy_and_cut, Watcher.replace_by_a_copy,
]  # fmt: skip
ROUGH: list[Act] = [
    Watcher.lose_the_last_link, Watcher.cut, Watcher.remove, Watcher.remove_an_older_one, Watcher.add_zeros,
]  # fmt: skip


@settings(max_examples=15)
@given(st.lists(st.sampled_from(GENTLE), max_size=15))
@example([Watcher.rename_and_create, Watcher.inspect, Watcher.rename])  # an empty log, as logrotate does
def test_with_all_files_there_each_part_has_one_line_and_is_known(history: list[Act]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        watcher = Watcher(Path(folder))
        for act in [*history, Watcher.inspect]:
            act(watcher)
            assert watcher.lines() == Counter(part(number).id for number in range(watcher.came))
            assert all(part(number) in watcher.index for number in range(watcher.came))
            assert part(watcher.came) not in watcher.index
        watcher.close()


@settings(max_examples=15)
@given(st.lists(st.sampled_from([*GENTLE, Watcher.inspect, Watcher.inspect, *ROUGH]), max_size=15))
def test_whatever_is_taken_away_no_part_has_two_lines_and_what_has_one_is_known(history: list[Act]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        watcher = Watcher(Path(folder))
        for act in [*history, Watcher.restart, Watcher.inspect]:
            act(watcher)
        lines = watcher.lines()
        assert set(lines.values()) == {1}
        assert lines.keys() <= {part(number).id for number in range(watcher.came)}
        assert all(part(number) in watcher.index for number in range(watcher.came))
        watcher.close()
