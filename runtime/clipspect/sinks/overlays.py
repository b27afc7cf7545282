"""A picture for each record: the frame beside its heat. How it is drawn is in `overlay`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath

from clipspect.base.errors import ClipspectError
from clipspect.base.files import DISK_FULL, atomic_file
from clipspect.frame.decode import as_image
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record
from clipspect.sinks.overlay import render
from clipspect.sinks.overlay_colours import HeatScale, heat_scale
from clipspect.sinks.sink import Sink
from clipspect.sinks.sorting import UNJUDGED, fitting_stem, verdict_folder, with_id
from clipspect.sinks.verdict_style import VERDICT_STYLES

OVERLAY, OVERLAYS = "overlay", "overlays"  # the kind of the file in a record, and its folder
_JPEG_QUALITY = 88


class Overlays(Sink):
    """JPEG files in `folder`/overlays, of the frames whose verdict is one of `verdicts`; without any, of all frames."""

    keeps_pictures = True

    def __init__(
        self,
        folder: Path,
        scale: HeatScale | None = None,
        verdicts: frozenset[str] | None = None,
        *,
        by_id: bool = False,
    ) -> None:
        """`scale` is that of the heat; without one it has the map limit in its middle, for which `map_range` is set.
        With `by_id` each is named after its record, so that years of them, and restarts, share no name.
        """
        self._folder, self._scale, self._verdicts, self._by_id = folder, scale, verdicts, by_id
        self.map_range: Callable[[], tuple[float, float]] = lambda: (0.0, 1.0)  # of the inspector, as it is then
        self._names = OverlayNames()

    def files(self, record: Record, outcome: Outcome) -> Mapping[str, str]:
        """A watched file's overlay is named after it and its id, so that a restart finds the same name."""
        if outcome.result is None or (self._verdicts is not None and verdict_folder(record) not in self._verdicts):
            return {}
        name = record.item.name
        if record.item.file is not None:
            stem = with_id(Path(record.item.file.name), record.id).with_suffix("").as_posix()
        elif self._by_id:
            stem = f"{record.item.number}~{record.id[:16]}"
        else:
            stem = self._names.next(name if outcome.result.source is None else str(PurePath(name).with_suffix("")))
        return {OVERLAY: f"{OVERLAYS}/{stem}.jpg"}

    def take(self, record: Record, outcome: Outcome) -> None:
        """Raises OSError while the disk is full; ClipspectError when it cannot be written for another reason."""
        result, frame = outcome.result, outcome.frame
        if OVERLAY not in record.files or result is None or frame is None or frame.picture is None:
            return
        drawn = render(as_image(frame.picture), result, self._scale or heat_scale(self.map_range(), result.map_limit))
        try:
            with atomic_file(self._folder / record.files[OVERLAY]) as file:
                drawn.save(file, "JPEG", quality=_JPEG_QUALITY)
        except ClipspectError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in DISK_FULL:
                raise error.__cause__ from None
            raise

    @property
    def left_over(self) -> int:
        """How many pictures are in the folder already."""
        return sum(1 for _ in (self._folder / OVERLAYS).rglob("*.jpg"))

    def __enter__(self) -> Overlays:
        try:
            (self._folder / OVERLAYS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ClipspectError(
                f"{self._folder}: cannot be written ({error.strerror}): choose another --out"
            ) from error
        return self


def parse_verdicts(text: str) -> frozenset[str]:
    """The verdicts of a list with commas; "unjudged" are the frames of a recipe without limits. Raises ValueError."""
    words = [word.strip() for word in text.split(",")]
    there_are = [*VERDICT_STYLES, UNJUDGED]
    for word in words:
        if word not in there_are:
            raise ValueError(f"expected verdicts with commas between them, of {', '.join(there_are)}; found {word!r}")
    return frozenset(words)


class OverlayNames:
    """A name for each frame: its own, with as many of its folders in front as it takes to be unique, else a number."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def next(self, path: str) -> str:
        """For the frame of that path, without a suffix."""
        parts = [part for part in PurePath(path).parts if part not in (PurePath(path).anchor, "..")] or ["frame"]
        parts[-1] = fitting_stem(parts[-1])
        joined = ("__".join(parts[start:]) for start in range(len(parts) - 1, -1, -1))
        ways = (name for name in joined if fitting_stem(name) == name)
        counted = (f"{parts[-1]}-{count}" for count in itertools.count(2))
        for candidate in itertools.chain(ways, counted):
            key = candidate.casefold()
            if key not in self._taken:
                self._taken.add(key)
                return candidate
        raise AssertionError("counting ends never")
