"""What the command line's SOURCE can be: files, or a scheme (`ticks:3`, `rtsp://camera/1`), built in or a plug-in's.

Another package adds a scheme by an entry point of the group `clipspect.sources`: its name is the scheme, its value a
callable that takes SOURCE as it was given and returns an iterable of items. One that has a length has a progress bar.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import length_hint
from pathlib import Path
from typing import TypeAlias

from clipspect.base.errors import ClipspectError
from clipspect.base.plug_ins import described, load_plug_in, plug_in_names
from clipspect.frame.decode import FrameLike
from clipspect.frame.item import Item, items_of
from clipspect.sources.aravis import SCHEME as ARAVIS
from clipspect.sources.aravis import camera as aravis
from clipspect.sources.files import CAMERA, FILES, VIDEO, Files, images_of, kind_of
from clipspect.sources.growing_folder import GrowingFolder, folder
from clipspect.sources.handover import handed_over
from clipspect.sources.live import Live
from clipspect.sources.policy import Policy, parse_policy
from clipspect.sources.problem import Problem
from clipspect.sources.video import NETWORK_SCHEMES, video
from clipspect.sources.video_file import VideoFile

SOURCE_PLUG_INS = "clipspect.sources"  # the entry points of other packages' sources

_ENDLESS = ("folder", "camera", "rtsp", "rtsps", "aravis")

Frames: TypeAlias = "Iterable[Item | FrameLike]"
Skip: TypeAlias = "str | Path | None"

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)  # of two letters or more: a single one is a drive


@dataclass(frozen=True)
class Opening:
    """How sources are opened, whatever they are."""

    skip: Skip = None  # a folder that no images are taken from
    policy: Policy | None = None  # for frames that come faster than they are inspected; None: the source's own
    problem: Problem | None = None  # told what keeps a source from giving frames; None: the log


def _folder(source: str, how: Opening) -> GrowingFolder:
    return folder(source.partition(":")[2], skip=how.skip, problem=how.problem)


def _video(source: str, how: Opening) -> Frames:
    opened = video(source.removeprefix(f"{VIDEO}:"), policy=how.policy, problem=how.problem)
    if isinstance(opened, VideoFile) and how.policy is not None and how.policy.drops:
        return handed_over(opened.paced(), how.policy)
    return opened


def _aravis(source: str, how: Opening) -> Live:
    return aravis(source.partition(":")[2], policy=how.policy, problem=how.problem)


BUILT_IN_SOURCES: dict[str, Callable[[str, Opening], Frames]] = {  # beside image files, which need no scheme
    "folder": _folder,
    CAMERA: _video,
    VIDEO: _video,
    **dict.fromkeys(NETWORK_SCHEMES, _video),
    ARAVIS: _aravis,
}


@dataclass
class Sources:
    """Several sources, one after the other, as items."""

    opened: tuple[tuple[str, Frames], ...]  # with what a person gave
    _closed: bool = field(default=False, init=False, repr=False, compare=False)

    @property
    def total(self) -> int | None:
        """How many items there are, or about; None where one of the sources does not know."""
        lengths = [length_hint(frames, -1) for _, frames in self.opened]
        return None if -1 in lengths else sum(lengths)

    def close(self) -> None:
        """End it: cameras and folders that grow at once, any other source with its next item. What came is still
        inspected. Any thread may call.
        """
        self._closed = True
        for _, frames in self.opened:
            if isinstance(frames, (Live, GrowingFolder)):
                frames.close()

    def __iter__(self) -> Iterator[Item]:
        for source, frames in self.opened:
            for item in _items(source, frames):
                yield item
                if self._closed:
                    return


def files(*sources: str | Path, skip: Skip = None) -> Sources:
    """Images, folders with their subfolders, and globs, each image once.

    In a folder only files with an image's suffix count, and nothing hidden; nor what lies in the folder `skip`.
    Raises ImageError for a source that does not exist or holds no image.
    """
    return Sources(tuple(_files_once([str(source) for source in sources], skip)))


def open_source(source: str, policy: str | Policy | None = None, problem: Problem | None = None) -> Sources:
    """A source as the command line takes it. Raises ImageError, and ClipspectError for an unknown scheme.

    `policy` (`latest`, `block`, `queue:N`) is of cameras, videos and the sources of other packages; images
    on disk wait.
    """
    return open_sources([source], policy=policy, problem=problem)


def open_sources(
    sources: Sequence[str], skip: Skip = None, policy: str | Policy | None = None, problem: Problem | None = None
) -> Sources:
    """The same for several of any kinds, in their order; files as `files` takes them."""
    how = Opening(skip, parse_policy(policy) if isinstance(policy, str) else policy, problem)
    schemes = [_scheme_of(source) for source in sources]
    endless = [source for source, scheme in zip(sources, schemes) if scheme in _ENDLESS]
    if endless and endless[0] != sources[-1]:
        raise ClipspectError(
            f"{endless[0]} does not end, and {sources[-1]} would never come: give it as the last source, or use "
            "clipspect line for several cameras"
        )
    on_disk = _files_once([source for source, scheme in zip(sources, schemes) if scheme == FILES], skip)
    return Sources(
        tuple(
            next(on_disk) if scheme == FILES else (source, _opened(source, scheme, how))
            for source, scheme in zip(sources, schemes)
        )
    )


def _files_once(sources: Iterable[str], skip: Skip) -> Iterator[tuple[str, Files]]:
    """Each image in the first of the sources that has it."""
    seen: set[Path] = set()
    for source in sources:
        name = source if os.path.exists(source) else source.removeprefix(f"{FILES}:")
        images = dict.fromkeys(images_of(name, None if skip is None else Path(skip)))
        yield source, Files(name, tuple(path for path in images if path not in seen))
        seen.update(images)


def _opened(source: str, scheme: str, how: Opening) -> Frames:
    plug_in: Callable[[str], Frames] | None = load_plug_in(SOURCE_PLUG_INS, scheme)
    if plug_in is None and scheme not in BUILT_IN_SOURCES:
        there_are = ", ".join(sorted({FILES, *BUILT_IN_SOURCES, *plug_in_names(SOURCE_PLUG_INS)}))
        raise ClipspectError(f"{source}: there is no source {scheme!r}; there are: {there_are}")
    try:
        frames = BUILT_IN_SOURCES[scheme](source, how) if plug_in is None else plug_in(source)
        if not isinstance(frames, Iterable):
            raise TypeError(f"expected an iterable of items, found {type(frames).__name__}")
    except ClipspectError:
        raise
    except Exception as error:
        raise ClipspectError(f"{source}: the source {scheme!r} cannot be opened ({described(error)})") from error
    return frames if plug_in is None or how.policy is None else handed_over(items_of(frames, source), how.policy)


def _scheme_of(source: str) -> str:
    """A file that is there is meant as one, whatever its name looks like."""
    named = _SCHEME.match(source)
    if named is None or os.path.exists(source) or (glob.has_magic(source) and glob.glob(source)):
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
