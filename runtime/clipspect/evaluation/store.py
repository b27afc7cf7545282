"""What an evaluation has done so far, on disk: a run that was cut short goes on where it stopped.

settings.json     what the figures depend on; another bundle or setting is refused
images.jsonl      a row an image: its class, kind of defect and score
maps/             the model's maps of the class in work, float32; gone when the class is done
classes.jsonl     a row a class: its figures
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from clipspect.document import MismatchError, build
from clipspect.errors import ClipspectError
from clipspect.evaluation.curves import Figures
from clipspect.evaluation.pixels import PixelFigures
from clipspect.files import atomic_file

_SETTINGS, _IMAGES, _CLASSES, _MAPS = "settings.json", "images.jsonl", "classes.jsonl", "maps"


@dataclass(frozen=True)
class ImageRow:
    """An inspected image. `stamp` changes with the file, and with the references that it was compared with."""

    name: str  # of its class
    image: str  # path in the data set
    stamp: str
    defect: str | None
    score: float
    width: int
    height: int


@dataclass(frozen=True)
class ClassRow:
    """A class's figures. `digest` changes with any file that they were made of."""

    name: str
    digest: str
    object: str
    recipe: str | None  # the bundle's that gave the words; None: made of `object`
    note: str | None
    references: tuple[str, ...]
    good: int
    defective: int
    image: Figures
    pixel: PixelFigures | None  # None: no masks


Row = TypeVar("Row", ImageRow, ClassRow)


class Store:
    """The folder, read when it is opened and kept up to date after every image and class."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Raises ClipspectError when the folder belongs to another evaluation, or cannot be written."""
        self._folder = folder
        ours = (folder / _SETTINGS).is_file()  # or the folder is new to us, and what else lies in it stays
        self._document = self._open_settings(dict(settings))
        self._images = {(row.name, row.image): row for row in _read(folder / _IMAGES, ImageRow)}
        self._classes = {row.name: row for row in _read(folder / _CLASSES, ClassRow)}
        _rewrite(folder / _IMAGES, self._images.values())  # without a last line that was cut short
        _rewrite(folder / _CLASSES, self._classes.values())
        known = {self._map(row) for row in self._images.values()}
        for path in (folder / _MAPS).glob("*.npy*"):
            if ours and path not in known:
                path.unlink()

    @property
    def backend(self) -> str | None:
        """The backend that has run the model so far."""
        return self._document.get("backend")

    @property
    def device(self) -> str | None:
        """What it ran on."""
        return self._document.get("device")

    @property
    def engine(self) -> str:
        """The same with its device and precision, once something has run."""
        return str(self._document.get("engine", "none"))

    def require_engine(self, backend: str, device: str, precision: str) -> None:
        """Remember what runs the model. Raises ClipspectError when something else has, so far."""
        engine = f"{backend} on {device} in {precision}"
        if self._document.setdefault("engine", engine) != engine:
            raise self._other("engine", self.engine, engine)
        self._document |= {"backend": backend, "device": device}
        _write_json(self._folder / _SETTINGS, self._document)

    def finished(self, name: str, digest: str) -> ClassRow | None:
        """The figures of a class, if they are there and its files are still the same."""
        row = self._classes.get(name)
        return row if row is not None and row.digest == digest else None

    def inspected(self, name: str, image: str, stamp: str) -> ImageRow | None:
        """The row of an image of the class in work, if it and its map are there."""
        row = self._images.get((name, image))
        return row if row is not None and row.stamp == stamp and self._map(row).is_file() else None

    def add_image(self, row: ImageRow, anomaly_map: npt.NDArray[np.float32]) -> None:
        """Keep an image's score and its map, (h, w) of the model's size; those that they replace go."""
        if (before := self._images.get((row.name, row.image))) is not None:
            self._map(before).unlink(missing_ok=True)
        with atomic_file(self._map(row)) as file:
            np.save(file, anomaly_map, allow_pickle=False)
        _keep(self._folder / _IMAGES, self._images, (row.name, row.image), row)

    def map_of(self, row: ImageRow) -> npt.NDArray[np.float32]:
        loaded: npt.NDArray[np.float32] = np.load(self._map(row), allow_pickle=False)
        return loaded

    def add_class(self, row: ClassRow) -> None:
        """Keep a class's figures; its maps are no longer needed."""
        _keep(self._folder / _CLASSES, self._classes, row.name, row)
        for image in self._images.values():
            if image.name == row.name:
                self._map(image).unlink(missing_ok=True)
        if not any((self._folder / _MAPS).iterdir()):
            (self._folder / _MAPS).rmdir()

    def _open_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        path = self._folder / _SETTINGS
        if not path.is_file():
            document: dict[str, Any] = {"settings": settings}
            _write_json(path, document)
            return document
        try:
            document = json.loads(path.read_bytes())
            before = document["settings"]
            differing = [key for key in settings if settings[key] != before.get(key)]
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
            raise ClipspectError(f"{path}: not readable ({error}): choose another --out") from error
        if differing:
            raise self._other(differing[0], before.get(differing[0]), settings[differing[0]])
        return document

    def _other(self, key: str, before: Any, now: Any) -> ClipspectError:
        return ClipspectError(
            f"{self._folder}: holds an evaluation with other {key} ({before!s:.60}, now {now!s:.60}): figures must "
            "not be mixed, choose another --out"
        )

    def _map(self, row: ImageRow) -> Path:
        name = hashlib.sha256("\0".join((row.name, row.image, row.stamp)).encode(errors="surrogatepass")).hexdigest()
        return self._folder / _MAPS / f"{name[:24]}.npy"


def stamp_of(path: Path) -> str:
    """Changes when a file does: its size and the time of its last change."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def _write_json(path: Path, document: Any) -> None:
    with atomic_file(path) as file:
        file.write((json.dumps(document, indent=2) + "\n").encode())


def _keep(path: Path, rows: dict[Any, Row], key: Any, row: Row) -> None:
    """Add a row to those that there are and to their file; one that it replaces goes."""
    replaces = key in rows
    rows[key] = row
    if replaces:
        _rewrite(path, rows.values())
        return
    with path.open("a", encoding="utf-8") as file:
        file.write(_line(row))


def _rewrite(path: Path, rows: Iterable[ImageRow | ClassRow]) -> None:
    with atomic_file(path) as file:
        file.writelines(_line(row).encode() for row in rows)


def _line(row: ImageRow | ClassRow) -> str:
    return json.dumps(dataclasses.asdict(row)) + "\n"


def _read(path: Path, kind: type[Row]) -> list[Row]:
    rows: list[Row] = []
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    for number, line in enumerate(lines[:-1], 1):  # what follows the last line's end was cut short
        try:
            rows.append(build(kind, json.loads(line), f"line {number}"))
        except (ValueError, RecursionError, MismatchError) as error:
            raise ClipspectError(f"{path}, line {number}: not readable ({error}): choose another --out") from error
    return rows
