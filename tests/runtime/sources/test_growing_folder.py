"""A folder that grows: what comes at once, what comes again, what comes though the kernel said nothing of it."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import clipspect
from clipspect.sources import inotify
from clipspect.sources.inspected_files import InspectedFiles
from clipspect.sources.part import Part
from support.watched import grey_png

watched = importlib.import_module("clipspect.sources.folder")  # the function has its name
LONG = 30.0  # of settling: what comes before was told by the kernel
PATIENCE_S = 30.0


class Coming:
    """The names that a folder gives, taken by a thread."""

    def __init__(self, root: Path, settle: float) -> None:
        self._root, self._names = root, queue.Queue[tuple[str, clipspect.Item]]()
        self._items = clipspect.sources.folder(root, settle=settle)
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        for item in self._items:
            self._names.put((Path(item.name).relative_to(self._root).as_posix(), item))

    def next(self) -> str:
        return self._names.get(timeout=PATIENCE_S)[0]

    def next_item(self) -> clipspect.Item:
        return self._names.get(timeout=PATIENCE_S)[1]

    def nothing(self, seconds: float = 0.4) -> bool:
        time.sleep(seconds)
        return self._names.empty()

    def close(self) -> None:
        self._items.close()


Open = Callable[..., Coming]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "camera").mkdir()
    return tmp_path / "camera"


@pytest.fixture
def coming(root: Path) -> Iterator[Open]:
    opened: list[Coming] = []

    def open_it(settle: float = LONG, root: Path = root) -> Coming:
        opened.append(Coming(root, settle))
        time.sleep(0.3)  # until it has looked for the first time
        return opened[-1]

    yield open_it
    for each in opened:
        each.close()


needs_inotify = pytest.mark.skipif(inotify.notifier_of("/") is None, reason="no inotify here")


@needs_inotify
def test_a_file_that_is_closed_or_renamed_into_place_comes_at_once_and_is_captured_then(
    root: Path, coming: Open
) -> None:
    names = coming()
    (root / "a.png").write_bytes(grey_png(1))
    assert names.next() == "a.png"
    (root / "b.tmp").write_bytes(grey_png(2))
    before = time.monotonic()
    (root / "b.tmp").rename(root / "b.png")
    item = names.next_item()
    assert before <= (item.captured_monotonic or 0.0) <= time.monotonic()
    assert (item.number, Path(item.name).name) == (1, "b.png")


@needs_inotify
def test_a_file_that_is_still_written_waits_for_its_end(root: Path, coming: Open) -> None:
    names = coming()
    with (root / "a.png").open("wb") as file:
        file.write(grey_png(1)[:20])
        file.flush()
        assert names.nothing()
        file.write(grey_png(1)[20:])
    assert names.next() == "a.png"
    assert names.nothing()


@needs_inotify
def test_a_file_that_is_closed_empty_waits_for_its_content(root: Path, coming: Open) -> None:
    names = coming()
    (root / "a.png").touch()
    assert names.nothing()
    (root / "a.png").write_bytes(grey_png(1))
    assert names.next() == "a.png"


@needs_inotify
def test_subfolders_that_are_made_moved_and_removed_are_followed(root: Path, tmp_path: Path, coming: Open) -> None:
    names = coming(0.2)
    (root / "day 1/part").mkdir(parents=True)
    time.sleep(0.3)
    (root / "day 1/part/a.png").write_bytes(grey_png(1))
    assert names.next() == "day 1/part/a.png"
    (root / "day 1").rename(root / "day 2")
    assert names.next() == "day 2/part/a.png"  # under that name nobody has seen it
    (root / "day 2/part/b.png").write_bytes(grey_png(2))
    assert names.next() == "day 2/part/b.png"
    shutil.rmtree(root / "day 2")
    (tmp_path / "day 3").mkdir()
    (tmp_path / "day 3/c.png").write_bytes(grey_png(3))
    (tmp_path / "day 3").rename(root / "day 3")
    assert names.next() == "day 3/c.png"
    assert names.nothing()


@needs_inotify
def test_a_folder_that_is_replaced_is_followed_under_its_name(root: Path, tmp_path: Path, coming: Open) -> None:
    names = coming(0.2)
    root.rename(tmp_path / "old")
    root.mkdir()
    time.sleep(0.6)
    (tmp_path / "old/x.png").write_bytes(grey_png(1))
    (root / "a.png").write_bytes(grey_png(1))
    assert names.next() == "a.png"
    assert names.nothing()


@pytest.mark.parametrize(
    ("way", "told"),
    [
        ("in place", True),
        ("gone and back", False),
        *(
            pytest.param(way, told, marks=pytest.mark.slow)
            for way, told in [
                ("in place", False),
                ("in its place", True),
                ("in its place", False),
                ("gone and back", True),
            ]
        ),
    ],
)
def test_the_same_name_size_and_time_again_is_another_part(
    way: str, told: bool, root: Path, tmp_path: Path, coming: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not told:
        monkeypatch.setattr(watched, "notifier_of", lambda root: None)
    names = coming(0.1)
    one, other = (grey_png(value).ljust(200, b"\0") for value in (1, 2))
    path = root / "a.png"
    path.write_bytes(one)
    os.utime(path, (5, 5))
    while not names.nothing(0.6):
        names.next()
    if way == "in place":
        with path.open("r+b") as file:
            file.write(other)
            os.utime(file.fileno(), (5, 5))
    else:
        target = tmp_path / "new.png" if way == "in its place" else path
        if way == "gone and back":
            path.unlink()
            time.sleep(0.5)
        target.write_bytes(other)
        os.utime(target, (5, 5))
        target.rename(path)
    while names.next() != "a.png":
        pass
    path.chmod(0o600)
    os.link(path, tmp_path / "sorted.png")
    names.nothing(0.6)


def test_links_rights_and_owners_of_an_inspected_file_make_no_other_part(root: Path, tmp_path: Path) -> None:
    seen, path = InspectedFiles(), root / "a.png"
    path.write_bytes(grey_png(1))
    part = Part.at(root, "a.png")
    assert part is not None
    assert not seen.is_another(part, written=True)  # nothing is known of it
    seen.remember(part)
    time.sleep(0.02)
    os.link(path, tmp_path / "sorted.png")
    linked = Part.at(root, "a.png")
    assert linked is not None
    assert linked.ctime_ns != part.ctime_ns
    assert not seen.is_another(linked, written=False)
    assert seen.is_another(linked, written=True)
    seen.remember(linked)
    time.sleep(0.02)
    path.chmod(0o640)
    changed = Part.at(root, "a.png")
    assert changed is not None
    assert not seen.is_another(changed, written=False)


@pytest.mark.parametrize("told", [True, False])
def test_a_file_that_was_inspected_does_not_come_again_when_it_is_sorted_by_link(
    told: bool, root: Path, tmp_path: Path, coming: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not told:
        monkeypatch.setattr(watched, "notifier_of", lambda root: None)
    names = coming(0.1)
    (root / "a.png").write_bytes(grey_png(1))
    assert names.next() == "a.png"
    os.link(root / "a.png", tmp_path / "sorted.png")
    assert names.nothing(0.8)


def test_what_the_kernel_says_nothing_of_is_found_by_looking(
    root: Path, coming: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inotify.Notifier, "events", lambda self: [])  # as on a share that another machine writes to
    monkeypatch.setattr(watched, "is_share", lambda root: True)
    names = coming(0.1)
    (root / "a.png").write_bytes(grey_png(1))
    assert names.next() == "a.png"


@needs_inotify
def test_when_too_much_happened_to_be_told_everything_is_looked_at(
    root: Path, coming: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = inotify.Notifier._event
    monkeypatch.setattr(inotify.Notifier, "_event", lambda self, watch, mask, name: real(self, -1, 0x4000, ""))
    names = coming(0.1)
    (root / "a.png").write_bytes(grey_png(1))
    assert names.next() == "a.png"


@needs_inotify
def test_without_more_notifications_it_is_said_and_the_folder_is_scanned(
    root: Path, coming: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_more(self: inotify.Notifier, folder: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(inotify.Notifier, "add", no_more)
    names = coming(0.1)
    (root / "a.png").write_bytes(grey_png(1))
    assert names.next() == "a.png"
    assert any("no more notifications" in record.message for record in caplog.records)


class Stale:
    """An entry of a folder as the system gives it, but that one file cannot be looked at."""

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self._entry = entry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        if self._entry.name == "stale.png":
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return self._entry.stat(follow_symlinks=follow_symlinks)


def test_a_file_that_the_share_lost_is_told_and_the_others_beside_it_come(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def scandir(path: Path) -> Iterator[Iterator[Stale]]:
        with as_it_is(path) as entries:
            yield map(Stale, entries)

    for name in ("a.png", "stale.png", "z.png"):
        (root / name).write_bytes(grey_png(1))
    as_it_is = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    told: list[str | None] = []
    items = clipspect.sources.folder(root, settle=0.0, problem=told.append)
    assert {Path(next(items).name).name for _ in range(2)} == {"a.png", "z.png"}
    items.close()
    assert told[-1] == f"{root}/stale.png: cannot be looked at (Stale file handle): waiting for it"


def test_files_of_other_suffixes_are_counted_and_told_once_a_kind(
    root: Path, coming: Open, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.jp2", "b.jp2", "notes.txt", ".hidden", "half.png.tmp"):
        (root / name).write_bytes(b"1")
        os.utime(root / name, (5, 5))
    (root / "now.raw").write_bytes(b"1")  # may be renamed in a moment
    coming(0.1)
    time.sleep(0.5)
    (line,) = [record.message for record in caplog.records]
    assert "4 files are no images by their suffix and are left alone: .jp2 (2), " in line


def test_network_file_systems_are_known_as_such() -> None:
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        kinds = {line.split(" ")[1]: line.split(" ")[2] for line in mounts}
    assert not inotify.is_share("/dev/shm") or kinds.get("/dev/shm") != "tmpfs"
    assert all(inotify.is_share(point) for point, kind in kinds.items() if kind in {"nfs", "nfs4", "cifs", "9p"})
