"""A picture for each record: the frame under its heat. How it is drawn is in `overlay`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path, PurePath

from clipspect.base.errors import ClipspectError
from clipspect.base.files import atomic_file
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record
from clipspect.sinks.overlay import render
from clipspect.sinks.overlay_colours import HeatScale
from clipspect.sinks.sink import Sink

OVERLAYS = "overlays"


class Overlays(Sink):
    """JPEG files in `folder`/overlays. Their colours have one scale for all frames."""

    keeps_pictures = True

    def __init__(self, folder: Path, scale: HeatScale) -> None:
        self._folder, self._scale = folder, scale
        self._names = OverlayNames()

    def files(self, record: Record, outcome: Outcome) -> Mapping[str, str]:
        if outcome.result is None:
            return {}
        name = record.item.name
        stem = name if outcome.result.source is None else str(PurePath(name).with_suffix(""))
        return {"overlay": f"{OVERLAYS}/{self._names.next(stem)}.jpg"}

    def take(self, record: Record, outcome: Outcome) -> None:
        if outcome.result is None or outcome.frame is None:
            return
        with atomic_file(self._folder / record.files["overlay"]) as file:
            render(outcome.frame.image, outcome.result, self._scale).save(file, "JPEG", quality=90)

    def __enter__(self) -> Overlays:
        try:
            (self._folder / OVERLAYS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ClipspectError(
                f"{self._folder}: cannot be written ({error.strerror}): choose another --out"
            ) from error
        return self


class OverlayNames:
    """A name for each frame: its own, with as many of its folders in front as it takes to be unique."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def next(self, path: str) -> str:
        """For the frame of that path, without a suffix."""
        parts = [part for part in PurePath(path).parts if part not in (PurePath(path).anchor, "..")] or ["frame"]
        ways = ("__".join(parts[start:]) for start in range(len(parts) - 1, -1, -1))
        counted = (f"{parts[-1]}-{count}" for count in itertools.count(2))
        for candidate in itertools.chain(ways, counted):
            key = candidate.casefold()
            if key not in self._taken:
                self._taken.add(key)
                return candidate
        raise AssertionError("counting ends never")
