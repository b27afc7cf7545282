"""What a folder holds now: its images, and how many other files are left alone."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from clipspect.frame.image_files import IMAGE_SUFFIXES
from clipspect.sources.files import left_alone, suffix_of
from clipspect.sources.part import Part

UNDER_WAY_S = 3.0  # since its last change, for which a file of another suffix may be about to be renamed


def is_image(name: str) -> bool:
    """By its suffix; hidden files are none."""
    base = os.path.basename(name)
    return not base.startswith(".") and suffix_of(base) in IMAGE_SUFFIXES


class Listing:
    """One look at a folder and its subfolders: iterate over it for the images; then the rest is known.

    Hidden files and folders, links, and what lies in `skip` do not count. `enter` is called before each folder is read.
    """

    def __init__(self, root: Path, skip: str | None, enter: Callable[[str], None]) -> None:
        self._root, self._skip, self._enter = root, skip, enter
        self.unreadable: str | None = None  # why the folder, or one below it, could not be listed
        self.left_alone: Counter[str] = Counter()  # by their suffix: files that are no images, and stay so

    def __iter__(self) -> Iterator[Part]:
        folders = [""]
        while folders:
            where = folders.pop()
            try:
                self._enter(where)
                with os.scandir(self._root / where) as entries:
                    for entry in entries:
                        if entry.name.startswith("."):
                            continue
                        name = f"{where}/{entry.name}" if where else entry.name
                        if entry.is_dir(follow_symlinks=False):
                            if os.path.realpath(entry.path) != self._skip:
                                folders.append(name)
                        elif entry.is_file(follow_symlinks=False):
                            part = self._part(name, entry)
                            if part is not None:
                                yield part
            except OSError as error:
                if where and isinstance(error, (FileNotFoundError, NotADirectoryError)):
                    continue  # a subfolder that has gone since it was listed
                self.unreadable = f"{self._root / where}: cannot be read ({error.strerror or error}): waiting for it"

    def _part(self, name: str, entry: os.DirEntry[str]) -> Part | None:
        suffix = suffix_of(entry.name)
        try:
            if suffix in IMAGE_SUFFIXES:
                return Part.of(name, entry.stat(follow_symlinks=False))
            if time.time() - entry.stat(follow_symlinks=False).st_mtime > UNDER_WAY_S:
                self.left_alone[suffix or "none"] += 1
        except FileNotFoundError:  # renamed or removed since it was listed
            pass
        except OSError as error:  # of this file alone: the others are listed
            self.unreadable = f"{self._root / name}: cannot be looked at ({error.strerror or error}): waiting for it"
        return None


class LeftAlone:
    """Tells the log how many files are left alone, when there are some of a suffix that it has not told of."""

    def __init__(self, root: Path) -> None:
        self._root, self._told, self._seen = root, set[str](), set[str]()
        self.count = 0  # when it was last looked

    def is_new(self, name: str) -> bool:
        """Whether it is the first that is seen to come of its suffix, and no hidden one."""
        suffix = suffix_of(name)
        new = suffix not in self._seen and not os.path.basename(name).startswith(".")
        if new:
            self._seen.add(suffix)
        return new

    def tell(self, found: Counter[str]) -> None:
        self.count = sum(found.values())
        if not found.keys() <= self._told:
            self._told |= found.keys()
            logging.getLogger("clipspect").warning(f"{self._root}: {left_alone(found)}")
