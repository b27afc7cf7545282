"""Images into the folder of their verdict. Doing it twice is as doing it once, so a restart does the last one again.

Nothing waits for the disk here: with ext4 and XFS an image is sorted for good when the next line is in the log.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from clipspect.base.errors import ClipspectError
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record
from clipspect.sinks.sink import Sink
from clipspect.sources.part import Part

MODES = ("link", "move", "copy", "none")
UNJUDGED, ERROR = "unjudged", "error"  # no limits in the recipe; an image that could not be inspected
VERDICT_FOLDERS = ("pass", "uncertain", "fail", "invalid", UNJUDGED, ERROR)
_TEMPORARY = ".copying"  # one at a time; what an interrupted copy leaves is written over by the next
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


def check_devices(mode: str, folder: Path, out: Path) -> None:
    """Raises ClipspectError where images of a folder cannot be linked or moved to `out`, which is there."""
    if mode in {"link", "move"} and os.stat(folder).st_dev != os.stat(out).st_dev:
        raise ClipspectError(
            f"--sort {mode}: {out} is not on the file system of {folder}: choose an --out there, or --sort copy"
        )


class Sorter(Sink):
    """Links, moves or copies the images of a watched folder to `out`/VERDICT/, in their subfolders."""

    def __init__(self, mode: str, folder: Path, out: Path) -> None:
        """Raises ClipspectError where `mode` is not possible between the two folders."""
        self._mode, self._folder, self._out = mode, folder, out
        check_devices(mode, folder, out)

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
        """Bring the image to its place, unless it is there, or has gone or changed since it was inspected.

        What could not be inspected stays where it is even when others are moved, and is linked: a camera that goes
        on writing it completes it there. Raises OSError: nothing is lost, and it can be called again.
        """
        target, file = record.files.get(SORTED), record.item.file
        if target is None or file is None or self._mode == "none":
            return
        part, readable = Part(file.name, file.size, file.mtime_ns), record.error is None
        source, goal = self._folder / part.name, self._out / target
        goal.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(goal):
            try:
                if self._mode == "copy":
                    _copy(source, goal, part)
                elif self._mode == "move" and readable:
                    os.rename(source, goal)
                else:
                    os.link(source, goal)
            except FileNotFoundError:
                if not self._folder.is_dir():  # a network share that comes back
                    raise
                return
        if self._mode == "copy" or Part.of(part.name, os.stat(goal)) == part:
            return
        if source.exists() and os.path.samefile(source, goal):
            goal.unlink()  # a link to what another part has become
        elif self._mode == "move" and readable:
            _put_back(part, source, goal)


def _put_back(part: Part, source: Path, goal: Path) -> None:
    """Another part took the name just before it was moved: it is to be inspected in its turn."""
    if source.exists():
        source = with_id(source, part.id)
    os.link(goal, source)
    goal.unlink()


def _copy(source: Path, goal: Path, part: Part) -> None:
    """Whole or not at all, with the time of its last change; nothing when it is no longer that part."""
    with source.open("rb") as content:
        if Part.of(part.name, os.fstat(content.fileno())) != part:
            return
        temporary = goal.with_name(_TEMPORARY)
        with temporary.open("wb") as file:
            shutil.copyfileobj(content, file)
            file.flush()
            os.utime(file.fileno(), ns=(part.mtime_ns, part.mtime_ns))
            os.fsync(file.fileno())
    os.replace(temporary, goal)
