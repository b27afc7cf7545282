"""The verdict of a frame: invalid where it is none that the limits speak of, else by its score."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.inspection.answer import Answer
from clipspect.inspection.result import Verdict, decide
from clipspect.recipes.checks import blank_reason, invalid_reasons, shrunk_note, size_note
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.references import reference_sizes


@dataclass(frozen=True)
class Judgement:
    """The verdict; why it is invalid, a sentence a reason; and what else there is to say of the frame."""

    verdict: Verdict | None  # None: nothing judges a valid frame
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def judge(answer: Answer, score: float) -> Judgement:
    """By the recipe that scored the frame, and the score of what of it is judged."""
    frame = answer.frame
    if frame.area is not None and frame.area.fault:
        return unjudged(answer)
    notes = [size_note(frame.size, _known_sizes(answer.recipe))]
    if answer.recipe.tiling is None:
        height, width = frame.pixels.shape[1:3]
        notes.append(shrunk_note(frame.box.size, (width, height)))
    reasons = invalid_reasons(frame.quality, frame.size, answer.embedding, answer.recipe.calibration)
    return Judgement("invalid" if reasons else decide(score, answer.limits), reasons, tuple(filter(None, notes)))


def unjudged(answer: Answer) -> Judgement:
    """No verdict, but that a frame is invalid whose region of interest is not found."""
    area = answer.frame.area
    if area is None or not area.fault:
        return Judgement(None)
    blank = blank_reason(answer.frame.quality)
    return Judgement("invalid", (*([blank] if blank else []), area.fault))


def _known_sizes(recipe: Recipe) -> tuple[tuple[int, int], ...]:
    """Width and height of calibration's frames, or else of the references."""
    if recipe.calibration is not None:
        return recipe.calibration.frame_sizes
    return reference_sizes(recipe.references)
