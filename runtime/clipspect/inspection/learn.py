"""Learning from answers: what a recipe becomes by parts that a person found good or defective, and whether it helps.

Each way is tried by leaving one out: an answered part is judged by the recipe that learned from all others. Limits
come from good parts that nobody chose by their verdict, never from answered ones: these can only raise them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from clipspect.base.errors import BackendError, RecipeError
from clipspect.base.progress import Progress, quiet
from clipspect.bundle.bundle import Bundle
from clipspect.engines.graph import WORDS
from clipspect.frame.decode import FrameLike
from clipspect.frame.item import Item
from clipspect.inspection.answered import AnsweredPart, Known, known_parts, scored_answers
from clipspect.inspection.calibrate import Rates, calibrated
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.learn_words import correct, words_verdicts
from clipspect.inspection.learning_begins import calibrating, rates_of, required
from clipspect.inspection.load import load
from clipspect.inspection.photographs import Photograph, read_photographs, refuse_equal, short_content
from clipspect.recipes.calibration import PartScore
from clipspect.recipes.grown_gallery import added_references, require_growing, with_references
from clipspect.recipes.history import with_limits
from clipspect.recipes.promise import limits_of_parts
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.text_correction import learned_parts

LIMITS, GALLERY = "limits", "gallery"
WAYS = (LIMITS, GALLERY, WORDS)  # the one that changes least comes first
_FEWEST = 2  # of each state, for words: one is left when the other is left out


@dataclass(frozen=True)
class Counts:
    """Verdicts of answered parts."""

    good: int
    failed: int  # good parts that fail: false rejects
    not_passed: int  # good parts that fail, are uncertain or invalid
    defective: int
    passed: int  # defective parts that pass: escapes
    not_failed: int  # defective parts that pass, are uncertain or invalid

    @property
    def cost(self) -> tuple[int, int, int, int]:
        """The smaller, the better: what escapes comes first."""
        return self.passed, self.not_failed, self.failed, self.not_passed


@dataclass(frozen=True, eq=False)
class Proposal:
    """A recipe that learned from all answers, and how answered parts fare with those that learned from all others."""

    recipe: Recipe = field(repr=False)
    counts: Counts


@dataclass(frozen=True, eq=False)
class Learned:
    """What can be learned from answers."""

    now: Counts
    uncounted: int  # parts that the recipe's words know already: they are learned from, and no figure counts them
    proposals: dict[str, Proposal]
    not_tried: dict[str, str]  # by way: why
    left_out: tuple[str, ...]  # answers that count for nothing, and why, a sentence each

    @property
    def best(self) -> str | None:
        """The way that judges the answered parts best, of equals the one that changes least; None: none helps."""
        ranked = sorted(self.proposals, key=lambda way: (self.proposals[way].counts.cost, WAYS.index(way)))
        better = ranked and self.proposals[ranked[0]].counts.cost < self.now.cost
        return ranked[0] if better else None


def learn(
    bundle: Bundle | str | Path,
    recipe: Recipe,
    answers: Sequence[AnsweredPart],
    good: Iterable[Item | FrameLike] = (),
    *,
    defective: Iterable[Item | FrameLike] = (),
    ways: Sequence[str] = WAYS,
    source: str = "",
    progress: Progress = quiet,
) -> Learned:
    """What the recipe becomes by the answers, in memory; nothing is written.

    - "limits": parts answered to be good raise the limits; promises stay what they are.
    - "gallery": they become references.
    - "words": for a recipe of words, `recipes/text_correction.py`.

    The last two make other scores, so that limits come anew from the parts that they came from before, with the same
    rates: `good` has their photographs, and what else is among them does not count; `defective` parts are scored
    beside. `source` says in the recipe's history where the answers are. Raises RecipeError: no calibration, too few
    answers, answers of other pictures; ImageError, BackendError.
    """
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    calibration, limits = required(opened, recipe)
    if unknown := [way for way in ways if way not in WAYS]:
        raise RecipeError(f"learn {unknown[0]!r}: expected {', '.join(WAYS)}")
    with load(opened, recipe) as inspector:
        scorer = calibration.scorer
        here = (inspector.backend, inspector.device, inspector.precision)
        if here != (scorer.backend, scorer.device, scorer.precision):
            raise RecipeError(
                f"recipe {recipe.name!r} was calibrated with {scorer.backend} on {scorer.device} in "
                f"{scorer.precision}, which is not what scores here: learn where that is, or calibrate again"
            )
        photographs, defects = (
            read_photographs(
                frames, opened.manifest.image, group=calibration.group, workers=inspector.workers, progress=progress
            )
            for frames in (good, defective)
        )
        refuse_equal(photographs, defects)
        if photographs:
            photographs = calibrating(recipe.name, calibration, photographs)
        known = known_parts(recipe, defects)
        parts, left_out = scored_answers(inspector, answers, known, progress)
        lesson = _Lesson(opened, inspector, parts, photographs, defects, rates_of(limits), source, progress)
        proposals: dict[str, Proposal] = {}
        not_tried: dict[str, str] = {}
        for way in ways:
            if why := lesson.missing(way):
                not_tried[way] = why
                continue
            try:
                proposals[way] = lesson.proposal(way)
            except (RecipeError, BackendError) as error:
                not_tried[way] = str(error)
        now = _counts(lesson.judged, [part.verdict for part in lesson.judged])
    if not proposals:
        raise RecipeError("nothing can be learned: " + "; ".join(f"{way}: {why}" for way, why in not_tried.items()))
    return Learned(now, len(parts) - len(lesson.judged), proposals, not_tried, tuple(left_out))


@dataclass(frozen=True, eq=False)
class _Lesson:
    """What is learned from, whichever way."""

    bundle: Bundle
    inspector: Inspector  # with the recipe as it is
    parts: list[Known]
    photographs: list[Photograph]
    defects: list[Photograph]
    rates: Rates
    source: str
    progress: Progress

    @cached_property
    def judged(self) -> list[Known]:
        """Parts that no words learned from before: of others the recipe as it is knows the answer."""
        known = learned_parts(self.inspector.recipe)
        return [part for part in self.parts if short_content(part.photograph.content) not in known]

    def missing(self, way: str) -> str:
        """What a way lacks; empty: nothing."""
        recipe = self.inspector.recipe
        good = sum(not part.defective for part in self.parts)
        defective = len(self.parts) - good
        embeddings = all(part.embedding is not None for part in self.parts)
        raising = 0 if recipe.calibration is None else len(recipe.calibration.answered)
        lacks = [
            (way != WORDS and not good, "too few answers: no part was answered to be good"),
            (way == GALLERY and not recipe.has_references, "the recipe has no references that a good part could join"),
            (way == WORDS and recipe.judge != WORDS, f"the recipe is judged by {recipe.judge}, not by words alone"),
            (
                way == WORDS and min(good, defective) < _FEWEST,
                f"too few answers: {good} good and {defective} defective, and it takes {_FEWEST} of each at least",
            ),
            (way == WORDS and not embeddings, self._no_embedding()),
            (
                way != LIMITS and recipe.windows is not None,
                "its windows on demand were measured with the scores as they are: first calibrate with --cascade 100% "
                "and run clipspect reuse --off",
            ),
            (
                way != LIMITS and not self.photographs,
                "scores change, and limits with them: give the parts that calibrated again, with --good PATH",
            ),
            (
                way != LIMITS and raising > 0,
                f"scores change, and answers that were learned from before ({raising}) would raise limits no more: "
                "calibrate again, then all answers count",
            ),
        ]
        return next((why for lack, why in lacks if lack), "")

    def _no_embedding(self) -> str:
        if self.inspector.recipe.region_of_interest is not None:
            return "words learn from the embedding of the whole image, which speaks of more than the region of interest"
        return "this bundle's graphs answer with no image embedding: export it again"

    def proposal(self, way: str) -> Proposal:
        """Raises RecipeError, ImageError, BackendError."""
        learned = self._growing() if way == GALLERY else {LIMITS: self._limits, WORDS: self._words}[way]
        every = learned(self.parts)
        if way == WORDS:
            found = words_verdicts(
                self.inspector, every, self.parts, self.judged, self.photographs, self.rates, self.progress
            )
            if found is not None:
                return Proposal(self._explained(every, way), _counts(self.judged, found))
        verdicts = []
        for number, part in enumerate(self.judged):
            self.progress(f"leaving one out: {way}", number, len(self.judged))
            others = [other for other in self.parts if other is not part]
            apart = learned(others) if way == WORDS or not part.defective else every  # of defects only words learn
            with self.inspector.with_recipe(apart, verdicts=True) as judging:
                verdicts.append(judging.inspect(part.photograph.item.frame).verdict)
        self.progress(f"leaving one out: {way}", len(self.judged), len(self.judged))
        return Proposal(self._explained(every, way), _counts(self.judged, verdicts))

    def _limits(self, parts: Sequence[Known]) -> Recipe:
        """Limits that these good parts raise."""
        recipe = self.inspector.recipe
        calibration = recipe.calibration
        assert calibration is not None
        more = [_part_score(part) for part in parts if not part.defective]
        answered = (*calibration.answered, *more)
        found = limits_of_parts(calibration.parts, **vars(self.rates), answered=answered, anyway=True)
        return with_limits(recipe, found, dataclasses.replace(calibration, answered=answered), why=LIMITS)

    def _growing(self) -> Callable[[Sequence[Known]], Recipe]:
        """With these good parts as references; what each adds is found once."""
        recipe, inspector = self.inspector.recipe, self.inspector
        require_growing(recipe)
        good = [part for part in self.parts if not part.defective]
        options: dict[str, Any] = {"device": inspector.device}
        if inspector.precision != self.bundle.manifest.precision:
            options["precision"] = inspector.precision
        frames = [part.photograph.item.frame for part in good]
        rows = added_references(self.bundle, recipe, frames, inspector.backend, **options)
        by_part = {id(part): reference for part, reference in zip(good, rows)}

        def learned(parts: Sequence[Known]) -> Recipe:
            return self._calibrated(
                with_references(recipe, [by_part[id(part)] for part in parts if not part.defective])
            )

        return learned

    def _words(self, parts: Sequence[Known]) -> Recipe:
        """With text features that know these parts."""
        return self._calibrated(correct(self.inspector.recipe, parts))

    def _calibrated(self, recipe: Recipe) -> Recipe:
        """With limits of its own scores."""
        with self.inspector.with_recipe(recipe, verdicts=False) as plain:
            calibration = self.inspector.recipe.calibration
            return calibrated(
                plain,
                self.photographs,
                self.defects,
                rates=self.rates,
                group=None if calibration is None else calibration.group,
                anyway=True,
                why="learned",
            )

    def _explained(self, recipe: Recipe, way: str) -> Recipe:
        """The recipe whose last change says from which answers it came."""
        good = sum(not part.defective for part in self.parts)
        people = ", ".join(sorted({part.who for part in self.parts if part.who}))
        ids = ", ".join(part.id for part in self.parts)
        by, of = (f" by {people}" if people else ""), (f" of {self.source}" if self.source else "")
        why = f"learned ({way}) from {good} good and {len(self.parts) - good} defective parts, answered{by}{of}: {ids}"
        last = dataclasses.replace(recipe.history[-1], why=why, before=self.inspector.recipe.digest)
        return dataclasses.replace(recipe, history=(*recipe.history[:-1], last))


def _part_score(part: Known) -> PartScore:
    photograph = part.photograph
    contents = (short_content(photograph.content),)
    return PartScore(photograph.name, part.score, part.peak, worst_frame=photograph.name, contents=contents)


def _counts(parts: Sequence[Known], verdicts: Sequence[str | None]) -> Counts:
    good = [verdict for part, verdict in zip(parts, verdicts) if not part.defective]
    bad = [verdict for part, verdict in zip(parts, verdicts) if part.defective]
    return Counts(
        len(good),
        good.count("fail"),
        len(good) - good.count("pass"),
        len(bad),
        bad.count("pass"),
        len(bad) - bad.count("fail"),
    )
