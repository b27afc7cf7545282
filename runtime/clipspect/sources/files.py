"""Image files, folders and globs: as one list, in the order a person would give it."""

from __future__ import annotations

import errno
import glob
import logging
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clipspect.base import clock
from clipspect.base.errors import ImageError
from clipspect.frame.image_files import IMAGE_SUFFIXES, natural_key
from clipspect.frame.item import Item

FILES, CAMERA, VIDEO = "files", "camera", "video"
VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})


@dataclass(frozen=True)
class Files:
    """Images on disk: a source whose length is known. Each is captured at its last change."""

    source: str  # as a person gave it
    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Item]:
        for number, path in enumerate(self.paths):
            try:
                changed = clock.from_file_time(path.stat().st_mtime_ns)
            except OSError:
                changed = None  # what is wrong with the file is told when it is read
            yield Item(self.source, number, changed, path)


def find_images(sources: Iterable[str], skip: Path | None = None) -> list[Path]:
    """Every image of the sources, each once: files as given, folders with their subfolders in natural order.

    In a folder only files with an image's suffix count, and nothing hidden; nor what lies in the folder `skip`, where
    an earlier run wrote its overlays. The log tells how many files of other suffixes are left alone. A path that the
    system does not let us see, and a folder that cannot be listed, also one that a glob passes, stand for the images
    there: reading them says why. Raises ImageError for a source that does not exist, holds no image, or is a video or
    a camera.
    """
    return list(dict.fromkeys(path for source in sources for path in images_of(source, skip)))


def images_of(source: str, skip: Path | None = None) -> list[Path]:
    """The same for one of them."""
    if kind_of(source) != FILES:
        raise ImageError(f"{source}: is a video or a camera: expected images, or a folder of images")
    try:
        others: list[Path] = []
        images = _outside(skip, _named_by(source, others))
        left = Counter(suffix_of(path) or "none" for path in _outside(skip, others))
    except ValueError as error:  # a NUL, or half of a character
        raise ImageError(f"{source!a:.200}: no such file or folder ({error})") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ImageError(f"{source:.200}: no such file or folder ({error.strerror})") from error
        return [Path(source)]
    if not images:
        raise ImageError(f"{source}: no images here; {left_alone(left)}")
    if left:
        logging.getLogger("clipspect").warning(f"{source}: {left_alone(left)}")
    return images


def left_alone(found: Counter[str]) -> str:
    """Of how many files each suffix is that no image has, and which suffixes count."""
    most = sorted(found.items(), key=lambda kind: (-kind[1], kind[0]))
    kinds = ", ".join(f"{suffix} ({count})" for suffix, count in most[:5])
    more = f" and {len(found) - 5} more kinds" if len(found) > 5 else ""
    told = f"{found.total()} files are no images by their suffix and are left alone: {kinds}{more}; " if found else ""
    return f"{told}these count: {' '.join(sorted(IMAGE_SUFFIXES))}"


def suffix_of(path: str | Path) -> str:
    return os.path.splitext(path)[1].lower()


def kind_of(source: str) -> str:
    """What a person means by a source that names no scheme: FILES, VIDEO or CAMERA."""
    path = Path(source)
    if os.path.isdir(source):  # of a name that no file can have, too, it is False
        return FILES
    if "://" in source or source.startswith("/dev/") or (source.isdigit() and not os.path.exists(source)):
        return CAMERA
    return VIDEO if path.suffix.lower() in VIDEO_SUFFIXES else FILES


def _outside(folder: Path | None, paths: Iterable[Path]) -> list[Path]:
    if folder is None:
        return list(paths)
    place = folder.resolve()
    return [path for path in paths if not path.resolve().is_relative_to(place)]


def _named_by(source: str, others: list[Path]) -> Iterator[Path]:
    path = Path(source)
    if glob.has_magic(source) and not os.path.exists(path):
        for match in sorted({*glob.glob(source, recursive=True), *_unlisted_by(source)}, key=natural_key):
            yield from _images_in(Path(match), others) if os.path.isdir(match) else [Path(match)]
        return
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        status = None
    if status is not None:
        yield from _images_in(path, others) if stat.S_ISDIR(status.st_mode) else [path]
    else:
        raise ImageError(f"{source}: no such file or folder")


def _unlisted_by(pattern: str) -> Iterator[str]:
    """Folders that a glob passes over in silence, since they cannot be listed."""
    above = os.path.dirname(pattern)
    while glob.has_magic(above) or os.path.isdir(above):
        for folder in glob.glob(above, recursive=True):
            try:
                os.scandir(folder).close()
            except (FileNotFoundError, NotADirectoryError):
                pass
            except OSError:
                yield folder
        if not glob.has_magic(above):
            return
        above = os.path.dirname(above)


def _images_in(folder: Path, others: list[Path]) -> Iterator[Path]:
    """The images of a folder; its other files are added to `others`."""
    images: list[Path] = []
    unlisted: list[OSError] = []
    for where, folders, files in os.walk(folder, onerror=unlisted.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                (images if suffix_of(name) in IMAGE_SUFFIXES else others).append(Path(where, name))
    there = [Path(error.filename) for error in unlisted if not isinstance(error, FileNotFoundError)]
    yield from sorted([*images, *there], key=natural_key)
