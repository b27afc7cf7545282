"""What an evaluation has done so far, on disk: a run that was cut short goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import ClipspectError
from clipspect.base.files import atomic_file
from clipspect_lab.evaluation.histograms import Histograms
from clipspect_lab.evaluation.map_cache import MapCache
from clipspect_lab.evaluation.resampling import Answers
from clipspect_lab.evaluation.rows import ClassRow, ImageRow, keep_row, read_rows, rewrite
from clipspect_lab.evaluation.stored import (
    CLASSES,
    IMAGES,
    MAPS,
    SETTINGS,
    StoredEvaluation,
    file_name,
    read_settings,
)


class Store(StoredEvaluation):
    """The folder, kept up to date after every image and class. Close it."""

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], recipes: Mapping[str, str], *, lasting: bool = True
    ) -> None:
        """`recipes` says of each class in work which recipe inspects it; `lasting`, whether a later run reads on.

        Raises ClipspectError when the folder belongs to another evaluation, or cannot be written.
        """
        ours = (folder / SETTINGS).is_file()  # or the folder is new to us, and what else lies in it stays
        if not ours and (kept := [name for name in (IMAGES, CLASSES) if (folder / name).is_file()]):
            raise ClipspectError(
                f"{folder / kept[0]}: is there without {SETTINGS}, which says of what it is: choose another --out"
            )
        self._folder, self._lasting = folder, lasting
        document = self._agreed(settings, recipes) if ours else {"settings": dict(settings), "recipes": dict(recipes)}
        _write_json(folder / SETTINGS, document)
        super().__init__(folder)
        self._images = {(row.name, row.image): row for row in read_rows(folder / IMAGES, ImageRow)}
        rewrite(folder / IMAGES, self._images.values())  # without a last line that was cut short
        rewrite(folder / CLASSES, self._classes.values())
        self._maps = MapCache(folder / MAPS, lasting=lasting)
        if ours:
            self._maps.keep_only({_map_name(row) for row in self._images.values()})
        self._last: tuple[ClassRow, Answers] | None = None

    def require_engine(self, backend: str, device: str, precision: str) -> None:
        """Remember what runs the model. Raises ClipspectError when something else has, so far."""
        engine = f"{backend} on {device} in {precision}"
        if self._document.setdefault("engine", engine) != engine:
            raise self._other("engine", self.engine, engine)
        self._document |= {"backend": backend, "device": device, "precision": precision}
        _write_json(self._folder / SETTINGS, self._document)

    def inspected(self, name: str, image: str, stamp: str) -> ImageRow | None:
        """The row of an image of the class in work, if it is there."""
        row = self._images.get((name, image))
        return row if row is not None and row.stamp == stamp else None

    def has_map(self, row: ImageRow) -> bool:
        return _map_name(row) in self._maps

    def map_of(self, row: ImageRow) -> npt.NDArray[np.float32]:
        """The model's map, (h, w) of the model's size."""
        return self._maps[_map_name(row)]

    def add_image(self, row: ImageRow, anomaly_map: npt.NDArray[np.float32] | None) -> None:
        """Keep an image's score, and its map where one is needed; those that they replace go."""
        if (before := self._images.get((row.name, row.image))) is not None:
            self._maps.drop(_map_name(before))
        if anomaly_map is not None:
            self._maps.add(_map_name(row), anomaly_map)
        keep_row(self._folder / IMAGES, self._images, (row.name, row.image), row)

    def keep_answers(self, row: ClassRow, images: Sequence[ImageRow], histograms: Histograms | None) -> None:
        """What a class's figures were made of; no histograms: it has no masks."""
        answers = Answers(
            tuple(image.image for image in images),
            np.array([(bytes_of(image.stamp), image.width, image.height) for image in images], np.int64),
            np.array([image.defect is not None for image in images]),
            np.array([image.score for image in images]),
            histograms,
        )
        self._last = row, answers
        if self._lasting:
            with atomic_file(self._pixels(row)) as file:
                np.savez_compressed(
                    file,
                    images=np.array(answers.images),
                    files=answers.files,
                    defective=answers.defective,
                    scores=answers.scores,
                    **(vars(histograms) if histograms is not None else {}),
                )

    def answers_of(self, row: ClassRow) -> Answers | None:
        """Those of the class that was done last need not be read again."""
        if self._last is not None and (self._last[0].name, self._last[0].digest) == (row.name, row.digest):
            return self._last[1]
        return super().answers_of(row)

    def add_class(self, row: ClassRow) -> None:
        """Keep a class's figures."""
        keep_row(self._folder / CLASSES, self._classes, row.name, row)

    def drop_maps(self, name: str) -> None:
        """When a class is done, its maps are no longer needed."""
        for image in self._images.values():
            if image.name == name:
                self._maps.drop(_map_name(image))

    def close(self) -> None:
        """Keep the maps of a class that is not done for a later run. Raises ClipspectError."""
        self._maps.save()

    def _agreed(self, settings: Mapping[str, Any], recipes: Mapping[str, str]) -> dict[str, Any]:
        """The folder's document, with the recipes of further classes. Raises ClipspectError where it says otherwise."""
        document = read_settings(self._folder / SETTINGS)
        before, known = document["settings"], dict(document.get("recipes", {}))
        for key, value in settings.items():
            if before.get(key) != value:
                raise self._other(key, before.get(key), value)
        for name, recipe in recipes.items():
            if known.setdefault(name, recipe) != recipe:
                raise self._other(f"recipe of class {name!r}", known[name], recipe)
        return {**document, "recipes": known}

    def _other(self, key: str, before: Any, now: Any) -> ClipspectError:
        return ClipspectError(
            f"{self._folder}: holds an evaluation with other {key} ({before!s:.60}, now {now!s:.60}): figures must "
            "not be mixed, choose another --out"
        )


def stamp_of(path: Path) -> str:
    """Changes when a file does: its size and the time of its last change."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def bytes_of(stamp: str) -> int:
    """The file's size when it was stamped."""
    return int(stamp.partition("-")[0])


def _map_name(row: ImageRow) -> str:
    return file_name(row.name, row.image, row.stamp)


def _write_json(path: Path, document: Any) -> None:
    with atomic_file(path) as file:
        file.write((json.dumps(document, indent=2) + "\n").encode())
