"""One class of an evaluation: what is done of it, the inspection of the rest, and its figures."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipspect.bundle.bundle import Bundle
from clipspect.bundle.precision import open_graph
from clipspect.engines.graph import BOTH, WORDS
from clipspect.frame.item import Item
from clipspect.inspection.inspector import Inspector, load
from clipspect.inspection.result import Result
from clipspect.recipes.recipe import Recipe
from clipspect_lab.evaluation.datasets import ProductClass, Sample
from clipspect_lab.evaluation.histograms import histograms
from clipspect_lab.evaluation.metrics import image_figures
from clipspect_lab.evaluation.pixels import Map, Mask, pixel_figures
from clipspect_lab.evaluation.recipes import Words, make
from clipspect_lab.evaluation.request import Progress, Request
from clipspect_lab.evaluation.rows import ClassRow, ImageRow
from clipspect_lab.evaluation.store import Store, stamp_of
from clipspect_lab.evaluation.truth import evaluation_size, map_at, truth_at

_NO_REGIONS = float(np.finfo(np.float32).max)  # a map limit that nothing exceeds: regions are not asked for


class Engine:
    """One inspector for all classes, loaded when it is first needed; a context manager."""

    def __init__(self, request: Request, bundle: Bundle, store: Store) -> None:
        self._request, self._bundle, self._store = request, bundle, store
        self._inspector: Inspector | None = None
        self._choice: tuple[str, dict[str, Any]] | None = None

    def recipe(self, words: Words, references: Sequence[Path]) -> Recipe:
        """A class's, made with the engine that inspects."""
        backend, options = self._chosen()
        return make(self._bundle, words, references, backend, options)

    def inspector(self, recipe: Recipe) -> Inspector:
        loaded = self._inspector
        if loaded is not None and loaded.recipe.has_references == recipe.has_references:
            loaded.use_recipe(recipe)
            return loaded
        self.close()
        backend, options = self._chosen()
        loaded = load(self._bundle.path, recipe, backend, map_limit=_NO_REGIONS, **options)
        self._inspector = loaded
        self._store.require_engine(loaded.backend, loaded.device, loaded.precision)
        return loaded

    def _chosen(self) -> tuple[str, dict[str, Any]]:
        """The backend and its options: those asked for, else those that this evaluation began with, else the fastest.

        One choice for recipes and frames: another competition could have another winner.
        """
        if self._choice is None:
            options = dict(self._request.options)
            backend, device = self._request.backend, None
            if backend is None:
                backend, device = self._store.backend, self._store.device
            if backend is None:
                backend, device = self._fastest()
            if device is not None:
                options.setdefault("device", device)
            self._choice = backend, options
        return self._choice

    def _fastest(self) -> tuple[str, str]:
        """Backend and device, by runs of the graph that inspects."""
        graphs = self._bundle.manifest.graphs
        graph = graphs[BOTH if self._request.shots else WORDS]
        blank = {
            name: np.ones([size if isinstance(size, int) else 1 for size in spec.shape], spec.dtype)
            for name, spec in graph.inputs.items()
        }
        with open_graph(self._bundle, graph, None, probe=blank, **self._request.options) as engine:
            return engine.name, engine.device

    def close(self) -> None:
        if self._inspector is not None:
            self._inspector.close()
            self._inspector = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ClassRun:
    """One class: what is done of it, and the rest."""

    def __init__(self, request: Request, bundle: Bundle, store: Store, item: ProductClass, words: Words) -> None:
        self._request, self._bundle, self._store, self.item, self._words = request, bundle, store, item, words
        compared = self._stamp_of_references()
        self._stamps = {sample.path: stamp_of(sample.path) + compared for sample in item.test}
        self.digest = self._digest_of_files()
        self._finished = store.finished(item.name, self.digest)

    @property
    def done(self) -> int:
        """How many images need no inspection."""
        return len(self.item.test) if self._finished else self.inspected

    @property
    def inspected(self) -> int:
        """How many images have a score and a map."""
        return sum(self._row(sample) is not None for sample in self.item.test)

    def figures(self, engine: Engine, progress: Progress | None, *, keep: bool) -> ClassRow:
        """The class's figures, from what is done and the inspection of the rest; with `keep`, histograms, too."""
        if self._finished is not None:
            return self._finished
        rows = self.inspect(engine, progress)
        if progress is not None:
            progress.measure(self.item.name)
        row = self.measure(rows, keep=keep)
        self._store.drop_maps(row)
        return row

    def measure(self, rows: list[ImageRow], *, keep: bool) -> ClassRow:
        """The figures of the rows of all images. Their maps stay."""
        item, words = self.item, self._words
        defective = [sample.defect is not None for sample in item.test]
        row = ClassRow(
            name=item.name,
            digest=self.digest,
            object=words.object,
            recipe=words.lender,
            note=words.note,
            references=tuple(self._relative(path) for path in item.references),
            good=defective.count(False),
            defective=defective.count(True),
            image=image_figures(defective, [row.score for row in rows]),
            pixel=pixel_figures(lambda: self.pairs(rows)) if item.masks else None,
        )
        if keep:
            counted = histograms(lambda: self.pairs(rows), len(rows)) if item.masks else None
            self._store.keep_answers(row, rows, counted)
        self._store.add_class(row)
        return row

    def pairs(self, rows: list[ImageRow]) -> Iterator[tuple[Map, Mask]]:
        """Maps and masks where they are compared."""
        for sample, row in zip(self.item.test, rows):
            original = (row.width, row.height)
            size = evaluation_size(self._request.resolution, self._bundle.manifest.image, original)
            yield map_at(self._store.map_of(row), size), truth_at(sample, original, size)

    def inspect(self, engine: Engine, progress: Progress | None) -> list[ImageRow]:
        """The rows of all images, in their order; what is not there yet is inspected."""
        rows = {sample.path: self._row(sample) for sample in self.item.test}
        missing = [sample for sample in self.item.test if rows[sample.path] is None]
        if missing:
            inspector = engine.inspector(engine.recipe(self._words, self.item.references))
            items = (Item(self.item.name, number, None, sample.path) for number, sample in enumerate(missing))
            with contextlib.closing(inspector.stream(items)) as outcomes:
                for outcome in outcomes:
                    sample = missing[outcome.item.number]
                    rows[sample.path] = self._kept(sample, outcome.require())
                    if progress is not None:
                        progress.step(self.item.name)
        return [row for row in rows.values() if row is not None]

    def _kept(self, sample: Sample, result: Result) -> ImageRow:
        image, stamp = self._relative(sample.path), self._stamps[sample.path]
        row = ImageRow(self.item.name, image, stamp, sample.defect, result.score, *result.size)
        self._store.add_image(row, result.model_map)
        return row

    def _row(self, sample: Sample) -> ImageRow | None:
        """What is kept of an image, unless it or its label has changed since."""
        row = self._store.inspected(self.item.name, self._relative(sample.path), self._stamps[sample.path])
        return row if row is not None and row.defect == sample.defect else None

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._request.dataset).as_posix()

    def _stamp_of_references(self) -> str:
        """Changes with any reference, as the scores of all images then do; empty where there are none."""
        references = [(self._relative(path), stamp_of(path)) for path in self.item.references]
        return "-" + hashlib.sha256(json.dumps(references).encode()).hexdigest()[:16] if references else ""

    def _digest_of_files(self) -> str:
        """Of the names and stamps of all files that the figures are made of."""
        item = self.item
        files = [(self._relative(s.path), self._stamps[s.path], s.defect) for s in item.test]
        others = [sample.mask for sample in item.test if sample.mask is not None] + list(item.references)
        files += [(self._relative(path), stamp_of(path), None) for path in others]
        return hashlib.sha256(json.dumps(files).encode()).hexdigest()
