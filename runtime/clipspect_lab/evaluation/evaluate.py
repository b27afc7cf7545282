"""The conductor: every test image of every class through a bundle, and the figures of each class."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipspect.base.files import sha256_of
from clipspect.base.version import __version__
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import MANIFEST, RECIPES
from clipspect.engines.graph import BOTH, WORDS
from clipspect_lab.evaluation.class_run import ClassRun, Engine
from clipspect_lab.evaluation.datasets import draw_references, open_dataset
from clipspect_lab.evaluation.recipes import Words, choose_words
from clipspect_lab.evaluation.request import Progress, Request
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


class Session:
    """An evaluation as it goes: its data, what is done of it, and its engine; a context manager."""

    def __init__(self, request: Request, folder: Path) -> None:
        """Looks at everything but the pixels. Raises as `evaluate`."""
        self.request, self.bundle = request, Bundle.open(request.bundle)
        classes = open_dataset(request.dataset, request.layout, request.classes, request.names)
        if request.shots:
            classes = [draw_references(item, request.shots, request.seed) for item in classes]
        words = {item.name: _words(request, self.bundle, item.name) for item in classes}
        for item in classes:
            check_files(item.test)
            check_references(item)
        self.store = Store(folder, _settings(request, self.bundle))
        self.engine = Engine(request, self.bundle, self.store)
        self.runs = [ClassRun(request, self.bundle, self.store, item, words[item.name]) for item in classes]

    @property
    def map_range(self) -> tuple[float, float]:
        """Of the maps of the graph that inspects."""
        return self.bundle.manifest.graphs[BOTH if self.request.shots else WORDS].map_range

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close()


def evaluate(request: Request, out: Path | None = None, progress: Progress | None = None) -> Evaluation:
    """Inspect every test image and make the figures of every class.

    What is done is kept in `out` as it goes, and a second call goes on from there. Without `out` it is kept in a
    temporary folder. Raises DatasetError, ImageError, RecipeError, BundleError, BackendError, and ClipspectError when
    `out` holds another evaluation; what was done so far stays.
    """
    with contextlib.ExitStack() as stack:
        folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clipspect-eval-")))
        session = stack.enter_context(Session(request, folder))
        if progress is not None:
            total = sum(len(run.item.test) for run in session.runs)
            progress.begin(total, sum(run.done for run in session.runs))
        rows = tuple(run.figures(session.engine, progress, keep=out is not None) for run in session.runs)
        return Evaluation(request, session.bundle, session.store.engine, session.store.precision, rows)


def _words(request: Request, bundle: Bundle, class_name: str) -> Words:
    return choose_words(bundle, class_name, request.names, request.recipe, request.shots)


def _settings(request: Request, bundle: Bundle) -> dict[str, Any]:
    """All that a figure depends on, besides the data set's files."""
    recipes = {path.name: sha256_of(path) for path in sorted((bundle.path / RECIPES).glob("*"))}
    return {
        "clipspect": __version__,
        "bundle": sha256_of(bundle.path / MANIFEST),
        "recipes": hashlib.sha256(json.dumps(recipes).encode()).hexdigest(),
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
