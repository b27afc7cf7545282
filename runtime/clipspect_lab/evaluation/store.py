"""What an evaluation has done so far, on disk: a run that was cut short goes on where it stopped.

settings.json     what the figures depend on; another bundle or setting is refused
images.jsonl      a row an image: its class, kind of defect and score
maps/             the model's maps of the class in work, float32; gone when the class is done
classes.jsonl     a row a class: its figures
pixels/           of a class, its images in their order, their scores and histograms: what makes evaluations comparable
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import ClipspectError
from clipspect.base.files import atomic_file
from clipspect_lab.evaluation.histograms import Histograms
from clipspect_lab.evaluation.resampling import Answers
from clipspect_lab.evaluation.rows import ClassRow, ImageRow, keep_row, read_rows, rewrite

_SETTINGS, _IMAGES, _CLASSES, _MAPS, _PIXELS = "settings.json", "images.jsonl", "classes.jsonl", "maps", "pixels"


class Store:
    """The folder, read when it is opened and kept up to date after every image and class."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Raises ClipspectError when the folder belongs to another evaluation, or cannot be written."""
        self._folder = folder
        ours = (folder / _SETTINGS).is_file()  # or the folder is new to us, and what else lies in it stays
        if not ours and (kept := [name for name in (_IMAGES, _CLASSES) if (folder / name).is_file()]):
            raise ClipspectError(
                f"{folder / kept[0]}: is there without {_SETTINGS}, which says of what it is: choose another --out"
            )
        self._document = self._open_settings(dict(settings))
        self._images = {(row.name, row.image): row for row in read_rows(folder / _IMAGES, ImageRow)}
        self._classes = {row.name: row for row in read_rows(folder / _CLASSES, ClassRow)}
        rewrite(folder / _IMAGES, self._images.values())  # without a last line that was cut short
        rewrite(folder / _CLASSES, self._classes.values())
        known = {self._map(row) for row in self._images.values()}
        for path in (folder / _MAPS).glob("*.npy*"):
            if ours and path not in known:
                path.unlink()

    @staticmethod
    def is_one(folder: Path) -> bool:
        """Whether a folder is an evaluation's."""
        return (folder / _SETTINGS).is_file() and (folder / _IMAGES).is_file()

    @classmethod
    def reopened(cls, folder: Path) -> Store:
        """An evaluation as it was left. Raises ClipspectError."""
        try:
            settings = dict(json.loads((folder / _SETTINGS).read_bytes())["settings"])
        except (OSError, ValueError, RecursionError, LookupError, TypeError) as error:
            raise ClipspectError(f"{folder / _SETTINGS}: not readable ({error}): evaluate again") from error
        return cls(folder, settings)

    @property
    def backend(self) -> str | None:
        """The backend that has run the model so far."""
        return self._document.get("backend")

    @property
    def device(self) -> str | None:
        """What it ran on."""
        return self._document.get("device")

    @property
    def precision(self) -> str:
        """What it computed in."""
        return str(self._document.get("precision", "none"))

    @property
    def engine(self) -> str:
        """The same with its device and precision, once something has run."""
        return str(self._document.get("engine", "none"))

    def require_engine(self, backend: str, device: str, precision: str) -> None:
        """Remember what runs the model. Raises ClipspectError when something else has, so far."""
        engine = f"{backend} on {device} in {precision}"
        if self._document.setdefault("engine", engine) != engine:
            raise self._other("engine", self.engine, engine)
        self._document |= {"backend": backend, "device": device, "precision": precision}
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
        keep_row(self._folder / _IMAGES, self._images, (row.name, row.image), row)

    @property
    def settings(self) -> dict[str, Any]:
        """What the figures depend on."""
        return dict(self._document["settings"])

    @property
    def classes(self) -> dict[str, ClassRow]:
        """Those that are done, by name."""
        return dict(self._classes)

    def keep_answers(self, row: ClassRow, images: Sequence[ImageRow], histograms: Histograms | None) -> None:
        """What a class's figures were made of; no histograms: it has no masks."""
        with atomic_file(self._pixels(row)) as file:
            np.savez_compressed(
                file,
                images=np.array([image.image for image in images]),
                files=np.array([(bytes_of(image.stamp), image.width, image.height) for image in images], np.int64),
                defective=np.array([image.defect is not None for image in images]),
                scores=np.array([image.score for image in images]),
                **(vars(histograms) if histograms is not None else {}),
            )

    def answers_of(self, row: ClassRow) -> Answers | None:
        """What a finished class is compared by; None where nothing was kept. Raises ClipspectError."""
        path = self._pixels(row)
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            names, files, defective, scores = (arrays.pop(key) for key in ("images", "files", "defective", "scores"))
            pixels = Histograms(**arrays) if arrays else None
        except (OSError, ValueError, TypeError, LookupError, zipfile.BadZipFile) as error:
            raise ClipspectError(f"{path}: not readable ({error}): evaluate again, into another --out") from error
        return Answers(tuple(names.tolist()), files, defective, scores, pixels)

    def map_of(self, row: ImageRow) -> npt.NDArray[np.float32]:
        loaded: npt.NDArray[np.float32] = np.load(self._map(row), allow_pickle=False)
        return loaded

    def add_class(self, row: ClassRow) -> None:
        """Keep a class's figures."""
        keep_row(self._folder / _CLASSES, self._classes, row.name, row)

    def drop_maps(self, row: ClassRow) -> None:
        """When a class is done, its maps are no longer needed."""
        for image in self._images.values():
            if image.name == row.name:
                self._map(image).unlink(missing_ok=True)
        folder = self._folder / _MAPS
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

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
        return self._folder / _MAPS / f"{_file_name(row.name, row.image, row.stamp)}.npy"

    def _pixels(self, row: ClassRow) -> Path:
        return self._folder / _PIXELS / f"{_file_name(row.name, row.digest)}.npz"


def _file_name(*parts: str) -> str:
    """Whatever a class or an image is called."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:24]


def stamp_of(path: Path) -> str:
    """Changes when a file does: its size and the time of its last change."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def bytes_of(stamp: str) -> int:
    """The file's size when it was stamped."""
    return int(stamp.partition("-")[0])


def _write_json(path: Path, document: Any) -> None:
    with atomic_file(path) as file:
        file.write((json.dumps(document, indent=2) + "\n").encode())
