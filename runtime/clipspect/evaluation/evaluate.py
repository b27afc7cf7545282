"""The conductor: every test image of every class through a bundle, and the figures of each class."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipspect.bundle import RECIPES, Bundle, sha256_of
from clipspect.evaluation.class_run import ClassRun, Engine
from clipspect.evaluation.datasets import draw_references, open_dataset
from clipspect.evaluation.recipes import Words, choose_words
from clipspect.evaluation.request import Progress, Request
from clipspect.evaluation.store import ClassRow, Store
from clipspect.evaluation.truth import check_files
from clipspect.manifest import MANIFEST
from clipspect.version import __version__


@dataclass(frozen=True)
class Evaluation:
    """The figures of all classes, and what they were made with."""

    request: Request
    bundle: Bundle
    engine: str  # backend and device
    rows: tuple[ClassRow, ...]


def evaluate(request: Request, out: Path | None = None, progress: Progress | None = None) -> Evaluation:
    """Inspect every test image and make the figures of every class.

    What is done is kept in `out` as it goes, and a second call goes on from there. Without `out` it is kept in a
    temporary folder. Raises DatasetError, ImageError, RecipeError, BundleError, BackendError, and ClipspectError when
    `out` holds another evaluation; what was done so far stays.
    """
    bundle = Bundle.open(request.bundle)
    classes = open_dataset(request.dataset, request.layout, request.classes)
    if request.shots:
        classes = [draw_references(item, request.shots, request.seed) for item in classes]
    words = {item.name: _words(request, bundle, item.name) for item in classes}
    for item in classes:
        check_files(item.test)
    with contextlib.ExitStack() as stack:
        folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clipspect-eval-")))
        store = Store(folder, _settings(request, bundle))
        engine = stack.enter_context(Engine(request, bundle, store))
        runs = [ClassRun(request, bundle, store, item, words[item.name]) for item in classes]
        if progress is not None:
            progress.begin(sum(len(item.test) for item in classes), sum(run.done for run in runs))
        rows = tuple(run.figures(engine, progress) for run in runs)
        return Evaluation(request, bundle, store.engine, rows)


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
        "layout": request.layout,
        "resolution": request.resolution,
        "shots": request.shots,
        "seed": request.seed if request.shots else None,
    }
