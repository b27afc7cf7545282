"""Calibration: limits from the scores of good parts, with what they promise, and what they were made of."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from clipspect.base import clock
from clipspect.base.errors import RecipeError
from clipspect.base.progress import Progress, quiet
from clipspect.base.version import __version__
from clipspect.frame.decode import FrameLike
from clipspect.frame.item import Item
from clipspect.inspection.calibrate_cascade import with_cascade, with_effect
from clipspect.inspection.estimate import estimated
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.photographs import (
    Photograph,
    read_photographs,
    refuse_equal,
    refuse_references,
    short_content,
)
from clipspect.inspection.result import Result
from clipspect.recipes.calibration import Calibration, PartScore, Scorer
from clipspect.recipes.checks import SeenFrame, checks_of
from clipspect.recipes.history import with_limits
from clipspect.recipes.promise import (
    CONFIDENCE,
    FALSE_REJECT_RATE,
    UNCERTAIN,
    checked_uncertain,
    limits_of_parts,
    percent,
    require_enough,
)
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.region import digest_of


def calibrate(
    inspector: Inspector,
    good: Iterable[Item | FrameLike],
    *,
    false_reject_rate: float = FALSE_REJECT_RATE,
    uncertain: float | None = None,
    confidence: float = CONFIDENCE,
    group: str | None = None,
    strike: Sequence[str] = (),
    defective: Iterable[Item | FrameLike] = (),
    anyway: bool = False,
    estimate: bool = False,
    why: str | None = None,
    cascade: float | None = None,
    pictures: tuple[Pictures, Pictures] | None = None,
    progress: Progress = quiet,
) -> Recipe:
    """The inspector's recipe with limits from the scores of good parts, in memory: `write_recipe` writes it.

    Of good parts to come at most `false_reject_rate` are rejected, at most `uncertain` are not passed and at most as
    many show a region, each with `confidence`; without `uncertain` it is 5 %, or the false reject rate if that is more.
    `good` are photographs that are not in the gallery: paths, images, arrays, or items as
    `clipspect.sources.files(FOLDER)` gives them. Each is one part; with `group`, a regular expression on the path below
    its source, frames of one part (the first group, else the match) count once, by their maximum. `strike` names parts,
    or files of them, that a person found not to be good: they stay in the calibration as struck, and count no more.
    `defective` parts are scored beside. Too few parts are refused; `anyway` takes the largest score, and the promise
    says what it is worth. With `estimate`, `good` are the references themselves, each scored without its own rows:
    nothing is promised. `why` goes into the recipe's history.
    `cascade` is the share of all windows' work that is to be done on good parts, 1 for all of it; by default it is as
    the recipe says. The limits are those of the cascade, and what it changes is measured.
    `pictures`, one of the good and one of the defective parts, are shown every outcome with its frame.
    Raises RecipeError, ImageError for a photograph that cannot be read, before anything is scored; BackendError.
    """
    uncertain = checked_uncertain(false_reject_rate, uncertain, confidence)
    spec = inspector.bundle.manifest.image
    photographs, defects = (
        read_photographs(frames, spec, group=group, workers=inspector.workers, progress=progress)
        for frames in (good, defective)
    )
    refuse_equal(photographs, defects)
    return calibrated(
        inspector,
        photographs,
        defects,
        rates=Rates(false_reject_rate, uncertain, confidence),
        group=group,
        strike=strike,
        anyway=anyway,
        estimate=estimate,
        why=why,
        cascade=cascade,
        pictures=pictures,
        progress=progress,
    )


@dataclass(frozen=True)
class Rates:
    """What is asked of limits."""

    false_reject_rate: float = FALSE_REJECT_RATE
    uncertain: float = UNCERTAIN
    confidence: float = CONFIDENCE


def calibrated(
    inspector: Inspector,
    photographs: Sequence[Photograph],
    defects: Sequence[Photograph] = (),
    *,
    others: Sequence[Photograph] = (),
    rates: Rates = Rates(),
    group: str | None = None,
    strike: Sequence[str] = (),
    anyway: bool = False,
    estimate: bool = False,
    why: str | None = None,
    cascade: float | None = None,
    pictures: tuple[Pictures, Pictures] | None = None,
    progress: Progress = quiet,
) -> Recipe:
    """`calibrate` on photographs that were read, of which no two are equal.

    `others` are of good parts that must not set limits, as references and those that they were chosen from: with the
    photographs they say what frames must be like. Raises RecipeError, ImageError, BackendError.
    """
    recipe = inspector.recipe
    struck = _struck(photographs, strike)
    count = len({photograph.part for photograph in photographs} - struck)
    if count == 0:
        raise RecipeError("there is no good part to calibrate on: give photographs of some, and strike not all of them")
    if not (anyway or estimate):
        require_enough(count, rates.false_reject_rate, rates.confidence)
    refuse_references(recipe, defects if estimate else [*photographs, *defects])
    if cascade is not None:
        if estimate:
            raise RecipeError("a cascade is calibrated on photographs of good parts, not estimated: leave one out")
        counting = [photograph for photograph in photographs if photograph.part not in struck]
        recipe = with_cascade(inspector, counting, cascade, progress)
    collected, keep = Collected(struck), pictures is not None
    with inspector.with_recipe(recipe, verdicts=False) as plain:
        outcomes = (estimated if estimate else _outcomes)(plain, photographs, keep_pictures=keep)
        for photograph, outcome in _told(outcomes, photographs, "good parts", progress):
            collected.take(photograph, _judged(photograph, outcome))
            if pictures is not None:
                pictures[0].take(outcome, photograph.part)
        for photograph, outcome in _told(_outcomes(plain, others), others, "frames of other good parts", progress):
            collected.look_at(photograph, _judged(photograph, outcome))
        scorer = Scorer(
            plain.bundle.digest,
            recipe.tensors_digest,
            plain.backend,
            plain.device,
            plain.precision,
            __version__,
            digest_of(recipe.region_of_interest),
        )
    calibration = Calibration(
        time=clock.now(),
        scorer=scorer,
        parts=collected.parts,
        group=group,
        estimate=estimate,
        frame_sizes=tuple(collected.frame_sizes),
        checked_parts=len({frame.part for frame in collected.seen}),
        **vars(checks_of(collected.seen)),
    )
    limits = limits_of_parts(collected.parts, **vars(rates), anyway=anyway or estimate)
    if estimate:
        limits = dataclasses.replace(limits, review_promise=None, reject_promise=None, map_promise=None)
    asked = f"at most {percent(rates.false_reject_rate)} rejected, {percent(rates.uncertain)} not passed"
    how = f"{'estimated' if estimate else 'calibrated'} on {count} good parts, {len(struck)} struck"
    why = why or f"{how}; asked: {asked} ({percent(rates.confidence)})"
    changed = with_limits(recipe, limits, calibration, why=why)
    if changed.windows is not None and changed.windows.cascade is not None:
        changed = with_effect(inspector, changed, photographs, defects, progress)
    if not defects:
        return changed
    beside = Collected()
    with inspector.with_recipe(changed, verdicts=True) as judging:  # as `run` will judge them, their frames included
        outcomes = _outcomes(judging, defects, keep_pictures=keep)
        for photograph, outcome in _told(outcomes, defects, "defective parts", progress):
            beside.take(photograph, outcome.require())
            if pictures is not None:
                pictures[1].take(outcome, photograph.part)
    return dataclasses.replace(changed, calibration=dataclasses.replace(calibration, defects=beside.parts))


class Pictures(Protocol):
    """What keeps pictures of the frames that go by, of each part the worst, as a report shows them."""

    def take(self, outcome: Outcome, part: str | None = None) -> None: ...


class Collected:
    """What calibration keeps of the frames that it scores; `take` sees each of them once, in their order."""

    def __init__(self, struck: frozenset[str] = frozenset()) -> None:
        self.frame_sizes: dict[tuple[int, int], None] = {}  # each once, and as `seen` of parts that are not struck
        self.seen: list[SeenFrame] = []
        self._struck = struck
        self._parts: dict[str, PartScore] = {}

    def take(self, photograph: Photograph, result: Result) -> None:
        """A frame of a part, and what was found on it."""
        name, struck = photograph.part, photograph.part in self._struck
        if not struck:
            self.look_at(photograph, result)
        invalid = result.verdict == "invalid"
        found = PartScore(
            name,
            result.score,
            result.peak,
            struck=struck,
            worst_frame=photograph.name,
            invalid=invalid,
            contents=(short_content(photograph.content),),
        )
        known = self._parts.get(name)
        self._parts[name] = found if known is None else _together(known, found)

    def look_at(self, photograph: Photograph, result: Result) -> None:
        """A frame that says what frames must be like, and nothing of limits."""
        self.frame_sizes[photograph.size] = None
        self.seen.append(SeenFrame(photograph.part, photograph.name, result.quality, result.embedding))

    @property
    def parts(self) -> tuple[PartScore, ...]:
        """In the order of their first frames."""
        return tuple(self._parts.values())


def _judged(photograph: Photograph, outcome: Outcome) -> Result:
    """The result of a good part's frame. Raises its error, and RecipeError where nothing of it may be judged."""
    result = outcome.require()
    if result.area is not None and result.area.fault:
        raise RecipeError(f"{photograph.name}: {result.area.fault}: take this photograph out, or draw the region again")
    return result


def _together(one: PartScore, other: PartScore) -> PartScore:
    """Of frames of one part. Invalid ones count only where all are."""
    frames, contents = one.frames + other.frames, (*one.contents, *other.contents)
    if one.invalid != other.invalid:
        return dataclasses.replace(other if one.invalid else one, frames=frames, contents=contents)
    worst, peak = other if other.score > one.score else one, max(one.map_maximum, other.map_maximum)
    return dataclasses.replace(worst, map_maximum=peak, frames=frames, contents=contents)


def _struck(photographs: Sequence[Photograph], strike: Sequence[str]) -> frozenset[str]:
    """The parts that are struck. Raises RecipeError for a name that none has."""
    if isinstance(strike, str):
        raise RecipeError(f"strike: expected a list of names, found the text {strike!r}")
    parts = {name: photograph.part for photograph in photographs for name in (photograph.name, photograph.part)}
    missing = [name for name in strike if str(name) not in parts]
    if missing:
        raise RecipeError(f"strike {missing[0]}: no good part or file has this name: give it as it was listed")
    return frozenset(parts[str(name)] for name in strike)


def _outcomes(
    inspector: Inspector, photographs: Sequence[Photograph], *, keep_pictures: bool = False
) -> Iterator[Outcome]:
    items = (photograph.item for photograph in photographs)
    with contextlib.closing(inspector.stream(items, keep_pictures=keep_pictures)) as outcomes:
        yield from outcomes


def _told(
    outcomes: Iterator[Outcome], photographs: Sequence[Photograph], step: str, progress: Progress
) -> Iterator[tuple[Photograph, Outcome]]:
    """Photographs with their outcomes, and progress told of them."""
    for done, (photograph, outcome) in enumerate(zip(photographs, outcomes), 1):
        yield photograph, outcome
        progress(step, done, len(photographs))
