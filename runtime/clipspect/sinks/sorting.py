"""Images into the folder of their verdict. Doing it twice is as doing it once, so a restart does the last one again.

A copy is on the disk when it has its name. Moving waits for no disk: with ext4 and XFS an image is moved for good when
the next line is in the log.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from clipspect.base.errors import ClipspectError
from clipspect.base.temporary import temporary_file
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import FileRecord, Record
from clipspect.sinks.sink import Sink
from clipspect.sources.part import Part

MODES = ("copy", "move", "none")
UNJUDGED, ERROR = "unjudged", "error"  # no limits in the recipe; an image that could not be inspected
VERDICT_FOLDERS = ("pass", "uncertain", "fail", "invalid", UNJUDGED, ERROR)
_BLOCK = 1 << 20
_LONGEST_STEM = 200  # bytes, so that an id still fits into the 255 of a name


SORTED = "sorted"  # the kind of the file in a record


def verdict_folder(record: Record) -> str:
    """Where the image of a record belongs."""
    return ERROR if record.error is not None else record.verdict or UNJUDGED


def with_id(path: Path, id: str) -> Path:
    """The path with the start of an id in its name, which no other file of that name then has."""
    return path.with_name(f"{fitting_stem(path.stem)}~{id[:16]}{path.suffix}")


def fitting_stem(stem: str) -> str:
    """The stem of a file's name, cut where it is too long for something to be added."""
    while len(os.fsencode(stem)) > _LONGEST_STEM:
        stem = stem[:-1]
    return stem


def check_device(mode: str, folder: Path, out: Path) -> None:
    """Raises ClipspectError where images of a folder cannot be moved to `out`, which is there."""
    if mode == "move" and os.stat(folder).st_dev != os.stat(out).st_dev:
        raise ClipspectError(
            f"--sort move: {out} is not on the file system of {folder}: choose an --out there, or --sort copy"
        )


class Sorter(Sink):
    """Copies or moves the images of a watched folder to `out`/VERDICT/, in their subfolders.

    What is there is what was judged, whatever is written to the folder later. `unsorted` is told why an image is not
    there: it has changed, or gone, since it was inspected.
    """

    def __init__(self, mode: str, folder: Path, out: Path, unsorted: Callable[[str], None]) -> None:
        """Raises ClipspectError where `mode` is not possible between the two folders."""
        self._mode, self._folder, self._out, self._unsorted = mode, folder, out, unsorted
        check_device(mode, folder, out)

    def files(self, record: Record, outcome: Outcome) -> Mapping[str, str]:
        """A free path for the image, relative to `out`: its own name, or one with its id when that is taken."""
        if self._mode == "none" or record.item.file is None:
            return {}
        wanted = Path(verdict_folder(record), record.item.file.name)
        if os.path.lexists(self._out / wanted):
            wanted = with_id(wanted, record.id)
        return {SORTED: wanted.as_posix()}

    def take(self, record: Record, outcome: Outcome) -> None:
        self.sort(record)

    def sort(self, record: Record) -> None:
        """Bring the image to its place, unless it is there. What could not be inspected stays where it is even when
        others are moved, and is copied: a camera that goes on writing it completes it there. Raises OSError: nothing
        is lost, and it can be called again.
        """
        target, file = record.files.get(SORTED), record.item.file
        if target is None or file is None or self._mode == "none":
            return
        source, goal = self._folder / file.name, self._out / target
        goal.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(goal):
            if self._mode == "move" and record.error is None and not _is(file, os.stat(goal), moved=True):
                _put_back(file, record.id, source, goal)
            return
        bring = _moved if self._mode == "move" and record.error is None else _copied
        try:
            there = bring(source, goal, file, record.id)
        except FileNotFoundError:
            if not self._folder.is_dir():  # a network share that comes back
                raise
            self._unsorted(f"{source}: has gone since it was inspected: it is not in {goal.parent}")
            return
        if not there:
            self._unsorted(f"{source}: has changed since it was inspected: what was inspected is not in {goal.parent}")


def _is(file: FileRecord, status: os.stat_result, *, moved: bool = False) -> bool:
    """Whether a file is as it was when it was inspected; to have been `moved` is no change."""
    part = Part.of(file.name, status)
    same = part == Part(file.name, file.size, file.mtime_ns)
    return same and (moved or file.ctime_ns is None or part.ctime_ns == file.ctime_ns)


def _copied(source: Path, goal: Path, file: FileRecord, id: str) -> bool:
    """Whole or not at all, with the time of its last change; False when it is not, or no longer, what was inspected.

    It takes no space where the file system lets files share their blocks (Btrfs, XFS).
    """
    with source.open("rb") as content, temporary_file(goal.parent) as (handle, temporary):
        if not _is(file, os.fstat(content.fileno())):
            return False
        with os.fdopen(handle, "wb", closefd=False) as copy:
            _copy(content, copy, file.size)
        if not _is(file, os.fstat(content.fileno())) or os.fstat(handle).st_size != file.size:
            return False
        os.utime(handle, ns=(file.mtime_ns, file.mtime_ns))
        os.fchmod(handle, 0o644)
        os.fsync(handle)
        os.rename(temporary, goal)
    return True


def _copy(content: BinaryIO, copy: BinaryIO, size: int) -> None:
    """By the system where it can, which then shares the blocks."""
    done = 0
    with suppress(OSError):
        while done < size and (count := os.copy_file_range(content.fileno(), copy.fileno(), size - done)):
            done += count
    content.seek(done)
    copy.seek(done)
    shutil.copyfileobj(content, copy, _BLOCK)


def _moved(source: Path, goal: Path, file: FileRecord, id: str) -> bool:
    """Nobody finds it by its name to write to it from then on. False when it is no longer what was inspected."""
    before = os.stat(source)
    if not _is(file, before):
        return False
    os.rename(source, goal)
    after = os.stat(goal)
    if after.st_ino == before.st_ino and _is(file, after, moved=True):
        return True
    _put_back(file, id, source, goal)
    return False


def _put_back(file: FileRecord, id: str, source: Path, goal: Path) -> None:
    """Another part took the name just before it was moved: it is to be inspected in its turn."""
    if source.exists():
        source = with_id(source, id)
    os.link(goal, source)
    goal.unlink()
