"""The verdict of a frame: invalid where it is none that the limits speak of, else by its score."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.frame.prepare import Frame
from clipspect.inspection.answer import Answer
from clipspect.inspection.result import Verdict, decide
from clipspect.recipes.checks import invalid_reasons, size_note
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.references import reference_sizes


@dataclass(frozen=True)
class Judgement:
    """The verdict; why it is invalid, a sentence a reason; and what else there is to say of the frame."""

    verdict: Verdict | None  # None: nothing judges a valid frame
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def judge(frame: Frame, answer: Answer) -> Judgement:
    """By the recipe that scored the frame."""
    note = size_note(frame.size, _known_sizes(answer.recipe))
    reasons = invalid_reasons(frame.quality, frame.size, answer.embedding, answer.recipe.calibration)
    return Judgement("invalid" if reasons else decide(answer.score, answer.limits), reasons, (note,) if note else ())


def _known_sizes(recipe: Recipe) -> tuple[tuple[int, int], ...]:
    """Width and height of calibration's frames, or else of the references."""
    if recipe.calibration is not None:
        return recipe.calibration.frame_sizes
    return reference_sizes(recipe.references)
