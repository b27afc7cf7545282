"""`compare`: the same images through two evaluations, class by class, and what differs.

In the folder besides the two evaluations, `one` and `other`: a row a class in comparison.jsonl, the differences of its
resamples in resamples/, and in worst/ the picture of its maps that differ most.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.files import atomic_file
from clipspect.base.lock import only_writer_in
from clipspect.base.progress import Progress, quiet
from clipspect.base.temporary import temporary_folder
from clipspect.inspection.maps import Map
from clipspect_lab.evaluation.compared import ComparedEvaluation, ComparedInput, require_comparable, require_same_images
from clipspect_lab.evaluation.comparison import Document, class_document, most_different
from clipspect_lab.evaluation.image_progress import ImageProgress
from clipspect_lab.evaluation.request import Request
from clipspect_lab.evaluation.resampling import SEED, differences, intervals
from clipspect_lab.evaluation.rows import ImageRow
from clipspect_lab.evaluation.worst import draw_worst

_ROWS, _RESAMPLES, _WORST = "comparison.jsonl", "resamples", "worst"


@dataclass(frozen=True)
class EvaluationComparison:
    """What differs, class by class."""

    request: Request
    dataset: str  # its name
    sides: tuple[Document, Document]
    resamples: int
    classes: tuple[Document, ...]
    differences: tuple[npt.NDArray[np.float64], ...]  # of each class, (resamples, METRICS)


def compare(
    request: Request,
    compared: tuple[ComparedInput, ComparedInput],
    out: Path | None = None,
    *,
    resamples: int,
    progress: Progress = quiet,
) -> EvaluationComparison:
    """Inspect every test image with both, and compare. `progress` counts images.

    `request` is what the two have in common. What is done is kept in `out`, and a second call goes on from there.
    Raises as `evaluate`, and ClipspectError for two that have not seen the same data.
    """
    with contextlib.ExitStack() as stack:
        folder = out or stack.enter_context(temporary_folder())
        one, other = (
            stack.enter_context(ComparedEvaluation(each, folder / name, request.classes, lasting=out is not None))
            for each, name in zip(compared, ("one", "other"))
        )
        require_comparable(one, other, request)
        if out is not None:
            stack.enter_context(only_writer_in(out))
        work = _Work(folder, (one, other), resamples, pictures=out is not None)
        counted = ImageProgress(progress, *work.images())
        found = [work.compared(name, counted) for name in one.names]
        described = one.described(), other.described()
        dataset = str(one.store.settings["dataset"])
        return EvaluationComparison(request, dataset, described, resamples, *map(tuple, zip(*found)))


class _Work:
    """What is done, and the rest."""

    def __init__(
        self, folder: Path, both: tuple[ComparedEvaluation, ComparedEvaluation], resamples: int, *, pictures: bool
    ) -> None:
        self._folder, self._both, self._resamples, self._pictures = folder, both, resamples, pictures
        self._rows: dict[str, Document] = {}
        path = folder / _ROWS
        for line in path.read_bytes().split(b"\n")[:-1] if path.is_file() else []:
            with contextlib.suppress(ValueError, LookupError, TypeError):  # a row that cannot be read is made again
                row = json.loads(line)
                self._rows[row["name"]] = row

    def images(self) -> tuple[int, int]:
        """How many there are to inspect in all, and of these are done."""
        runs = [(name, run) for side in self._both for name, run in side.class_runs.items()]
        done = sum(len(run.item.test) if self._inspected_once(name) else run.inspected for name, run in runs)
        return sum(len(run.item.test) for _, run in runs), done

    def compared(self, name: str, progress: ImageProgress) -> tuple[Document, npt.NDArray[np.float64]]:
        """A class's row, and the differences of its resamples."""
        if not self._done(name):
            self._compare(name, progress)
        return self._rows[name], np.load(self._resampled(name), allow_pickle=False)

    def _compare(self, name: str, progress: ImageProgress) -> None:
        known = self._inspected_once(name)
        rows = [None if known else self._inspected(side, name, progress) for side in self._both]
        progress.figures(name)
        (one, answers), (other, others) = (side.answers(name) for side in self._both)
        require_same_images(name, answers, others)
        found = differences(answers, others, name, resamples=self._resamples)
        with atomic_file(self._resampled(name)) as file:
            np.save(file, found.values, allow_pickle=False)
        document = {
            **class_document((one, other), (answers, others)),
            "interval": intervals(found.values),
            "bins": found.largest_error,
            "worst": self._rows[name]["worst"] if known else self._worst(name, rows),
            "resamples": self._resamples,
            "between": self._between(name),
        }
        self._rows[name] = document
        with atomic_file(self._folder / _ROWS) as file:
            file.writelines(json.dumps(row).encode() + b"\n" for row in self._rows.values())
        for side in self._both:
            if side.run is not None and side.row(name) is not None:
                side.run.store.drop_maps(name)

    def _inspected(self, side: ComparedEvaluation, name: str, progress: ImageProgress) -> list[ImageRow] | None:
        """The images of one that runs, and their figures kept; their maps are there."""
        if side.run is None:
            return None
        run = side.run.classes[name]
        rows = run.inspect(side.run.engine, progress)
        if side.row(name) is None:
            run.measure(rows, keep=True)
        return rows

    def _worst(self, name: str, rows: list[list[ImageRow] | None]) -> Document | None:
        """The image whose maps differ most, and its picture; None where one has no maps."""
        one, other = self._both
        if rows[0] is None or rows[1] is None:
            return None
        worst = most_different(zip(_shares(one, name, rows[0]), _shares(other, name, rows[1])))
        if worst is None:
            return None
        index, largest, maps = worst
        sample = one.class_runs[name].item.test[index]
        found: dict[str, Any] = {"image": rows[0][index].image, "largest": largest, "picture": None}
        if self._pictures:
            found["picture"] = f"{_WORST}/{_file_name(name)}.png"
            with atomic_file(self._folder / found["picture"]) as file:
                draw_worst(sample.path, maps, (one.name, other.name)).save(file, "PNG")
        return found

    def _done(self, name: str) -> bool:
        resampled = self._resampled(name).is_file() and self._rows.get(name, {}).get("resamples") == self._resamples
        return resampled and self._inspected_once(name)

    def _inspected_once(self, name: str) -> bool:
        """Whether maps have been compared: for other resamples they need not be there again."""
        return bool(self._rows.get(name, {}).get("between") == self._between(name))

    def _between(self, name: str) -> str:
        """Changes with whatever the row depends on, besides the number of resamples."""
        parts = [*(side.fingerprint(name) for side in self._both), SEED, self._pictures]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _resampled(self, name: str) -> Path:
        return self._folder / _RESAMPLES / f"{_file_name(name)}-{self._between(name)[:12]}-{self._resamples}.npy"


def _shares(side: ComparedEvaluation, name: str, rows: list[ImageRow]) -> Iterator[Map]:
    """The maps of one as shares of the range that they can take."""
    if side.run is None:
        return
    low, high = side.run.map_range
    for anomaly_map in side.run.classes[name].pairs(rows).maps():
        yield (anomaly_map - np.float32(low)) / np.float32(high - low)


def _file_name(name: str) -> str:
    """A class's name for a file: as it is where that is safe."""
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    safe = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_") else "-" for sign in name)[:60]
    return f"{safe}-{digest}" if safe != name else name
