"""An evaluation that is kept on disk, as a reader finds it: nothing is written here.

settings.json     what the figures depend on, each class's recipe, and the engine
images.jsonl      a row an image: its class, kind of defect and score
maps/             the model's maps of the class in work, float32, where a run ended before its class was done
classes.jsonl     a row a class: its figures
pixels/           of a class, its images in their order, their scores and histograms: what makes evaluations comparable
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from clipspect.base.errors import ClipspectError
from clipspect_lab.evaluation.histograms import Histograms
from clipspect_lab.evaluation.resampling import Answers
from clipspect_lab.evaluation.rows import ClassRow, read_rows

SETTINGS, IMAGES, CLASSES, MAPS, PIXELS = "settings.json", "images.jsonl", "classes.jsonl", "maps", "pixels"


def is_evaluation(folder: Path) -> bool:
    """Whether a folder is an evaluation's."""
    return (folder / SETTINGS).is_file() and (folder / IMAGES).is_file()


class StoredEvaluation:
    """What the folder says of the settings and of the classes that are done."""

    def __init__(self, folder: Path) -> None:
        """Raises ClipspectError for what cannot be read."""
        self._folder = folder
        self._document = read_settings(folder / SETTINGS)
        self._classes = {row.name: row for row in read_rows(folder / CLASSES, ClassRow)}

    @property
    def settings(self) -> dict[str, Any]:
        """What the figures depend on."""
        return dict(self._document["settings"])

    @property
    def recipes(self) -> dict[str, str]:
        """Which recipe inspects a class, by the class's name; of classes that were begun."""
        return dict(self._document.get("recipes", {}))

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

    @property
    def classes(self) -> dict[str, ClassRow]:
        """Those that are done, by name."""
        return dict(self._classes)

    def finished(self, name: str, digest: str) -> ClassRow | None:
        """The figures of a class, if they are there and its files are still the same."""
        row = self._classes.get(name)
        return row if row is not None and row.digest == digest else None

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

    def _pixels(self, row: ClassRow) -> Path:
        return self._folder / PIXELS / f"{file_name(row.name, row.digest)}.npz"


def read_settings(path: Path) -> dict[str, Any]:
    """The document of settings.json. Raises ClipspectError."""
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        dict(document["settings"])
        dict(document.get("recipes", {}))
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise ClipspectError(f"{path}: not readable ({error}): choose another --out") from error
    return document


def file_name(*parts: str) -> str:
    """A name that a file can have, whatever a class or an image is called."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:24]
