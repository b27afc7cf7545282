"""What the command line's SOURCE can be: files, or a scheme (`ticks:3`, `rtsp://camera/1`), built in or a plug-in's.

Another package adds a scheme by an entry point of the group `clipspect.sources`: its name is the scheme, its value a
callable that takes SOURCE as it was given and returns an iterable of items. One that has a length has a progress bar.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from clipspect.base.errors import ClipspectError
from clipspect.base.plug_ins import described, load_plug_in, plug_in_names
from clipspect.frame.decode import FrameLike
from clipspect.frame.item import Item, items_of
from clipspect.sources.files import CAMERA, FILES, VIDEO, Files, images_of, kind_of, not_yet
from clipspect.sources.folder import folder

SOURCE_PLUG_INS = "clipspect.sources"  # the entry points of other packages' sources

Frames: TypeAlias = "Iterable[Item | FrameLike]"
Skip: TypeAlias = "str | Path | None"

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)  # of two letters or more: a single one is a drive


def _folder(source: str, skip: Skip) -> Iterator[Item]:
    return folder(source.partition(":")[2], skip=skip)


def _refuse(kind: str, source: str, skip: Skip) -> Frames:
    raise not_yet(source, kind)


BUILT_IN_SOURCES: dict[str, Callable[[str, Skip], Frames]] = {  # beside image files, which need no scheme
    "folder": _folder,
    CAMERA: partial(_refuse, CAMERA),
    VIDEO: partial(_refuse, VIDEO),
    "rtsp": partial(_refuse, CAMERA),
    "http": partial(_refuse, CAMERA),
    "https": partial(_refuse, CAMERA),
}
_USABLE = (FILES, "folder")  # the others say what is not built yet


@dataclass(frozen=True)
class Sources:
    """Several sources, one after the other, as items."""

    opened: tuple[tuple[str, Frames], ...]  # with what a person gave

    @property
    def total(self) -> int | None:
        """How many items there are; None where one of the sources does not know."""
        lengths = [len(frames) for _, frames in self.opened if isinstance(frames, Sized)]
        return sum(lengths) if len(lengths) == len(self.opened) else None

    def __iter__(self) -> Iterator[Item]:
        for source, frames in self.opened:
            yield from _items(source, frames)


def files(*sources: str | Path, skip: Skip = None) -> Sources:
    """Images, folders with their subfolders, and globs, each image once.

    In a folder only files with an image's suffix count, and nothing hidden; nor what lies in the folder `skip`.
    Raises ImageError for a source that does not exist or holds no image.
    """
    return Sources(tuple(_files_once([str(source) for source in sources], skip)))


def open_source(source: str) -> Sources:
    """A source as the command line takes it. Raises ImageError, and ClipspectError for an unknown scheme."""
    return open_sources([source])


def open_sources(sources: Sequence[str], skip: Skip = None) -> Sources:
    """The same for several of any kinds, in their order; files as `files` takes them."""
    schemes = [_scheme_of(source) for source in sources]
    on_disk = _files_once([source for source, scheme in zip(sources, schemes) if scheme == FILES], skip)
    return Sources(
        tuple(
            next(on_disk) if scheme == FILES else (source, _opened(source, scheme, skip))
            for source, scheme in zip(sources, schemes)
        )
    )


def _files_once(sources: Iterable[str], skip: Skip) -> Iterator[tuple[str, Files]]:
    """Each image in the first of the sources that has it."""
    seen: set[Path] = set()
    for source in sources:
        name = source if Path(source).exists() else source.removeprefix(f"{FILES}:")
        images = dict.fromkeys(images_of(name, None if skip is None else Path(skip)))
        yield source, Files(name, tuple(path for path in images if path not in seen))
        seen.update(images)


def _opened(source: str, scheme: str, skip: Skip) -> Frames:
    plug_in: Callable[[str], Frames] | None = load_plug_in(SOURCE_PLUG_INS, scheme)
    if plug_in is None and scheme not in BUILT_IN_SOURCES:
        there_are = ", ".join(sorted({*_USABLE, *plug_in_names(SOURCE_PLUG_INS)}))
        raise ClipspectError(f"{source}: there is no source {scheme!r}; there are: {there_are}")
    try:
        frames = BUILT_IN_SOURCES[scheme](source, skip) if plug_in is None else plug_in(source)
        if not isinstance(frames, Iterable):
            raise TypeError(f"expected an iterable of items, found {type(frames).__name__}")
    except ClipspectError:
        raise
    except Exception as error:
        raise ClipspectError(f"{source}: the source {scheme!r} cannot be opened ({described(error)})") from error
    return frames


def _scheme_of(source: str) -> str:
    """A file that is there is meant as one, whatever its name looks like."""
    named = _SCHEME.match(source)
    if named is None or Path(source).exists() or (glob.has_magic(source) and glob.glob(source)):
        return kind_of(source)
    return named[1].lower()


def _items(source: str, frames: Frames) -> Iterator[Item]:
    """What a source gives; whatever it raises on the way becomes one clear error."""
    if isinstance(frames, Files):
        yield from frames
        return
    try:
        yield from items_of(frames, source)
    except (ClipspectError, GeneratorExit):
        raise
    except Exception as error:
        raise ClipspectError(
            f"{source}: the source failed ({described(error)}): what came before it is done"
        ) from error
