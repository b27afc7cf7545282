"""Answered parts as learning takes them: their pictures, scored again, and what makes an answer count for nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import ImageError, RecipeError
from clipspect.base.files import sha256_of
from clipspect.base.progress import Progress, quiet
from clipspect.bundle.precision import allowed_difference
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.photographs import Photograph, read_photographs, references_of, short_content
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.shelf import serving


@dataclass(frozen=True)
class AnsweredPart:
    """One answer: the picture of an inspected part, and what a person found it to be."""

    id: str  # of the record
    picture: Path
    defective: bool
    sha256: str = ""  # of the picture's file when it was answered; empty: not known
    who: str = ""
    recipe: str = ""  # digest of the recipe that scored it, the backend, device and precision that did, and the score
    engine: tuple[str, str, str] | None = None
    score: float | None = None


@dataclass(frozen=True, eq=False)
class Known:
    """An answered part that counts."""

    id: str
    who: str
    defective: bool
    photograph: Photograph = field(repr=False)
    score: float
    peak: float
    verdict: str | None  # by the recipe as it is
    embedding: npt.NDArray[np.float32] | None = field(repr=False)


def known_parts(recipe: Recipe, defective: Sequence[Photograph]) -> dict[str, str]:
    """By what a photograph shows, why an answer to it counts for nothing: it has its place already."""
    calibration = recipe.calibration
    assert calibration is not None
    known = {short_content(content): "it is a reference" for content in references_of(recipe)}
    for part in calibration.parts:
        place = "it was struck from the calibration" if part.struck else "limits come from it already"
        known |= dict.fromkeys(part.contents, place)
    for part in calibration.answered:
        known |= dict.fromkeys(part.contents, "it was learned from already, and raises limits until they come anew")
    for part in calibration.defects:
        known |= dict.fromkeys(part.contents, "it is one of the defective parts of the calibration")
    return known | {short_content(photograph.content): "it is given by --defective" for photograph in defective}


def scored_answers(
    inspector: Inspector, answers: Sequence[AnsweredPart], known: dict[str, str], progress: Progress = quiet
) -> tuple[list[Known], list[str]]:
    """The answers that count, scored and judged by the recipe as it is, and why others do not, a sentence each.

    Raises RecipeError: none counts, one picture has both answers, or a picture is not what was inspected; ImageError
    for one that cannot be read.
    """
    if not answers:
        raise RecipeError("too few answers: there are none; clipspect feedback RESULTS.jsonl ID good|defect gives some")
    missing = [answer for answer in answers if not answer.picture.is_file()]
    if missing:
        others = f" (and {len(missing) - 1} more are missing)" if len(missing) > 1 else ""
        raise ImageError(
            f"{missing[0].picture}: the picture of answer {missing[0].id} is not there any more{others}: bring it "
            "back, or take the answer back"
        )
    for answer in answers:
        if answer.sha256 and sha256_of(answer.picture) != answer.sha256:
            raise RecipeError(f"{answer.picture}: was changed since answer {answer.id} was given: answer it again")
    spec, workers = inspector.bundle.manifest.image, inspector.workers
    photographs = read_photographs([answer.picture for answer in answers], spec, workers=workers, progress=progress)
    counting, left_out = _once(answers, photographs, known)
    parts: list[Known] = []
    items = [photograph.item for _, photograph in counting]
    with contextlib.closing(inspector.stream(items)) as outcomes:
        for done, ((answer, photograph), outcome) in enumerate(zip(counting, outcomes), 1):
            result = outcome.require()
            _require_score(inspector, answer, result.score)
            progress("answered parts", done, len(counting))
            if result.verdict == "invalid":
                left_out.append(f"{answer.id}: its frame is invalid ({result.reasons[0]})")
                continue
            parts.append(
                Known(
                    answer.id, answer.who, answer.defective, photograph,
                    result.score, result.peak, result.verdict, result.embedding,
                )
            )  # fmt: skip
    if not parts:
        raise RecipeError(f"too few answers: none of {len(answers)} counts; {'; '.join(left_out)}")
    return parts, left_out


def _once(
    answers: Sequence[AnsweredPart], photographs: Sequence[Photograph], known: dict[str, str]
) -> tuple[list[tuple[AnsweredPart, Photograph]], list[str]]:
    """Answers with their photographs, each photograph once, and why others do not count."""
    first: dict[str, AnsweredPart] = {}
    counting, left_out = [], []
    for answer, photograph in zip(answers, photographs):
        before = first.setdefault(photograph.content, answer)
        if before.defective != answer.defective:
            raise RecipeError(
                f"{before.id} and {answer.id} show the same, and one is answered good, the other defective: take one "
                "back"
            )
        if before is not answer:
            left_out.append(f"{answer.id}: shows the same as {before.id}")
        elif why := known.get(short_content(photograph.content)):
            left_out.append(f"{answer.id}: {why}")
        else:
            counting.append((answer, photograph))
    return counting, left_out


def _require_score(inspector: Inspector, answer: AnsweredPart, score: float) -> None:
    """Raises RecipeError where the recipe gives the picture another score than the record has."""
    if answer.score is None or answer.engine is None or answer.recipe != inspector.recipe.digest:
        return
    graph = serving(inspector.bundle, inspector.recipe)
    engines = {answer.engine, (inspector.backend, inspector.device, inspector.precision)}
    allowed = [allowed_difference(inspector.bundle, graph, *engine) for engine in engines]
    if None in allowed:  # nothing is known of how far these engines are apart
        return
    if abs(score - answer.score) > 2 * sum(found for found in allowed if found is not None):
        raise RecipeError(
            f"{answer.picture}: scores {score:.6g}, its record {answer.id} says {answer.score:.6g}: it is not the "
            "picture that was inspected"
        )
