"""One class of an evaluation: what is done of it, the inspection of the rest, and its figures."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from clipspect.bundle.bundle import Bundle
from clipspect.frame.item import Item
from clipspect.inspection.result import Result
from clipspect_lab.evaluation.datasets import ProductClass, Sample
from clipspect_lab.evaluation.engine import EvaluationEngine
from clipspect_lab.evaluation.histograms import histograms
from clipspect_lab.evaluation.image_progress import ImageProgress
from clipspect_lab.evaluation.metrics import image_figures
from clipspect_lab.evaluation.pixel_pairs import PixelPairs
from clipspect_lab.evaluation.pixels import pixel_figures, survey
from clipspect_lab.evaluation.recipes import RecipeChoice
from clipspect_lab.evaluation.request import Request
from clipspect_lab.evaluation.rows import ClassRow, ImageRow, count_masks
from clipspect_lab.evaluation.store import Store, stamp_of
from clipspect_lab.evaluation.verdicts import LIMITS_SAY_NOTHING, class_verdicts


class ClassRun:
    """One class: what is done of it, and the rest."""

    def __init__(
        self,
        request: Request,
        bundle: Bundle,
        store: Store,
        item: ProductClass,
        choice: RecipeChoice,
        *,
        needs_maps: bool,
    ) -> None:
        """`needs_maps`: whether an image without a map has to be inspected again."""
        self._request, self._bundle, self._store, self.item, self._choice = request, bundle, store, item, choice
        self._needs_maps = needs_maps
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
        """How many images have a score, and a map where it is needed."""
        return sum(self._row(sample) is not None for sample in self.item.test)

    def figures(self, engine: EvaluationEngine, progress: ImageProgress, *, keep: bool) -> ClassRow:
        """The class's figures, from what is done and the inspection of the rest; with `keep`, histograms, too."""
        if self._finished is not None:
            return self._finished
        rows = self.inspect(engine, progress)
        progress.figures(self.item.name)
        row = self.measure(rows, keep=keep)
        self._store.drop_maps(row.name)
        return row

    def measure(self, rows: Sequence[ImageRow], *, keep: bool) -> ClassRow:
        """The figures of the rows of all images. Their maps stay."""
        item, choice = self.item, self._choice
        defective = [sample.defect is not None for sample in item.test]
        scores = [row.score for row in rows]
        verdicts = class_verdicts(defective, scores, [row.verdict for row in rows], rows[0].limits)
        judged = not choice.has_limits or verdicts.recipes_limits is not None
        pairs = self.pairs(rows)
        found = survey(pairs) if item.masks else None
        row = ClassRow(
            name=item.name,
            digest=self.digest,
            object=choice.object,
            recipe=choice.recipe,
            note=choice.note if judged else "; ".join(filter(None, (choice.note, LIMITS_SAY_NOTHING))),
            references=tuple(self._relative(path) for path in item.references),
            good=defective.count(False),
            defective=defective.count(True),
            image=image_figures(defective, scores),
            pixel=pixel_figures(pairs, found) if found is not None else None,
            masks=count_masks(pairs.masks()) if item.masks else None,
            verdicts=verdicts,
        )
        if keep:
            counted = histograms(pairs, len(rows), found) if found is not None else None
            self._store.keep_answers(row, rows, counted)
        self._store.add_class(row)
        return row

    def pairs(self, rows: Sequence[ImageRow]) -> PixelPairs:
        """Maps and masks of the rows of all images, where they are compared."""
        image = self._bundle.manifest.image
        return PixelPairs(self.item.test, rows, self._store.map_of, self._request.resolution, image)

    def inspect(self, engine: EvaluationEngine, progress: ImageProgress) -> list[ImageRow]:
        """The rows of all images, in their order; what is not there yet is inspected."""
        rows = [self._row(sample) for sample in self.item.test]
        missing = [
            Item(self.item.name, number, None, sample.path)
            for number, (sample, row) in enumerate(zip(self.item.test, rows))
            if row is None
        ]
        if missing:
            inspector = engine.inspector(self._choice, self.item.references)
            with contextlib.closing(inspector.stream(missing)) as outcomes:
                for outcome in outcomes:
                    number = outcome.item.number
                    rows[number] = self._kept(self.item.test[number], outcome.require())
                    progress.image(self.item.name)
        return [row for row in rows if row is not None]

    def _kept(self, sample: Sample, result: Result) -> ImageRow:
        image, stamp = self._relative(sample.path), self._stamps[sample.path]
        row = ImageRow(
            self.item.name, image, stamp, sample.defect, result.score, *result.size, result.verdict, result.limits
        )
        self._store.add_image(row, result.small_map if self._needs_maps else None)
        return row

    def _row(self, sample: Sample) -> ImageRow | None:
        """What is kept of an image, unless it or its label has changed since."""
        row = self._store.inspected(self.item.name, self._relative(sample.path), self._stamps[sample.path])
        if row is None or row.defect != sample.defect or (self._needs_maps and not self._store.has_map(row)):
            return None
        return row

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
        others = [mask for sample in item.test for mask in sample.masks] + list(item.references)
        files += [(self._relative(path), stamp_of(path), None) for path in others]
        return hashlib.sha256(json.dumps(files).encode()).hexdigest()
