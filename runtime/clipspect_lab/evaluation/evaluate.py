"""`evaluate`: every test image of every class through a bundle, and the figures of each class."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipspect.base.errors import BundleError
from clipspect.base.lock import only_writer_in
from clipspect.base.progress import Progress, quiet
from clipspect.base.temporary import temporary_folder
from clipspect.base.version import __version__
from clipspect.bundle.bundle import Bundle
from clipspect_lab.evaluation.class_run import ClassRun
from clipspect_lab.evaluation.datasets import ProductClass, draw_references, open_dataset
from clipspect_lab.evaluation.engine import EvaluationEngine
from clipspect_lab.evaluation.image_progress import ImageProgress
from clipspect_lab.evaluation.recipes import RecipeChoice, choose_class_recipe, role_of
from clipspect_lab.evaluation.request import Request
from clipspect_lab.evaluation.rows import ClassRow
from clipspect_lab.evaluation.store import Store
from clipspect_lab.evaluation.truth import check_files, check_references


@dataclass(frozen=True)
class Evaluation:
    """The figures of all classes, and what they were made with."""

    request: Request
    bundle: Bundle
    engine: str  # backend, device and precision
    precision: str  # that it computed in
    rows: tuple[ClassRow, ...]


class EvaluationRun:
    """An evaluation as it goes: its data, what is done of it, and its engine; a context manager."""

    def __init__(self, request: Request, folder: Path, *, lasting: bool, all_maps: bool = False) -> None:
        """Looks at everything but the pixels. Raises as `evaluate`.

        `lasting`: whether a later run goes on in the folder; `all_maps`: whether maps are needed where there are no
        masks.
        """
        self.request = request
        self.bundle = Bundle.open(request.bundle, require_signature=request.require_signature)
        found = _classes(request)
        if request.shots and role_of(self.bundle, request.shots) not in self.bundle.manifest.graphs:
            raise BundleError(
                f"{self.bundle.path}: --shots needs a graph that compares with references, the bundle has none: "
                "export it with --few-shot or --memory"
            )
        choices = {item.name: _choice(request, self.bundle, item.name) for item in found}
        for item in found:
            check_files(item.test)
            check_references(item)
        recipes = {name: choice.identity for name, choice in choices.items()}
        with contextlib.ExitStack() as stack:
            if lasting:
                stack.enter_context(only_writer_in(folder))
            self.store = Store(folder, _settings(request, self.bundle), recipes, lasting=lasting)
            stack.callback(self.store.close)
            self.engine = EvaluationEngine(request, self.bundle, self.store)
            stack.callback(self.engine.close)
            self.classes = {
                item.name: ClassRun(
                    request, self.bundle, self.store, item, choices[item.name], needs_maps=all_maps or item.masks
                )
                for item in found
            }
            self._stack = stack.pop_all()

    @property
    def map_range(self) -> tuple[float, float]:
        """Of the maps of the graph that inspects."""
        return self.bundle.manifest.graphs[role_of(self.bundle, self.request.shots)].map_range

    def __enter__(self) -> EvaluationRun:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def evaluate(request: Request, out: Path | None = None, progress: Progress = quiet) -> Evaluation:
    """Inspect every test image and make the figures of every class. `progress` counts images.

    What is done is kept in `out`, and a second call goes on from there; one at a time may write there. Without `out`
    nothing is kept. Raises DatasetError, ImageError, RecipeError, BundleError, BackendError, and ClipspectError when
    `out` holds another evaluation or is being written; what was done so far stays.
    """
    with contextlib.ExitStack() as stack:
        folder = out or stack.enter_context(temporary_folder())
        run = stack.enter_context(EvaluationRun(request, folder, lasting=out is not None))
        classes = run.classes.values()
        total, done = sum(len(item.item.test) for item in classes), sum(item.done for item in classes)
        counted = ImageProgress(progress, total, done)
        rows = tuple(item.figures(run.engine, counted, keep=out is not None) for item in classes)
        return Evaluation(request, run.bundle, run.store.engine, run.store.precision, rows)


def _classes(request: Request) -> list[ProductClass]:
    found = open_dataset(request.dataset, request.layout, request.classes, request.names)
    if request.shots:
        found = [draw_references(item, request.shots, request.seed) for item in found]
    return found


def _choice(request: Request, bundle: Bundle, class_name: str) -> RecipeChoice:
    return choose_class_recipe(bundle, class_name, request.names, request.recipe, request.shots)


def _settings(request: Request, bundle: Bundle) -> dict[str, Any]:
    """All that a figure depends on, besides the data set's files and each class's recipe."""
    return {
        "clipspect": __version__,
        "bundle": bundle.digest,
        "recipe": request.recipe,
        "names": dict(request.names),
        "backend": request.backend,
        "options": {key: value for key, value in request.options.items() if key != "threads"} or None,
        "dataset": request.dataset.resolve().name,
        "layout": request.layout,
        "resolution": request.resolution,
        "model_size": f"{bundle.manifest.image.width} x {bundle.manifest.image.height}",
        "shots": request.shots,
        "seed": request.seed if request.shots else None,
    }
