"""A study: repeatability of the score, distance to the limits, and agreement of the verdicts."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

from clipspect.base.progress import Progress, quiet
from clipspect.inspection.inspector import Inspector
from clipspect.recipes.guard import guard_words
from clipspect.recipes.limits import Limits
from clipspect.recipes.proportion import Proportion
from clipspect_lab.studies.agreement import Agreement, agreement_of, same_verdict_of
from clipspect_lab.studies.judged import JudgedPart, judge
from clipspect_lab.studies.parts import find_parts
from clipspect_lab.studies.repeatability import Repeatability, repeatability_of, require_repeats

NEAR = 3.0  # sigmas: nearer to a limit than that, another photograph may well get another verdict


@dataclass(frozen=True)
class Study:
    """What a study found, and of what."""

    bundle: str  # its folder's name
    recipe: str
    recipe_digest: str
    engine: str  # backend, device and precision
    limits: Limits | None  # in use; None: the recipe has none, so there are no verdicts
    guard: str  # what is to be said of limits in use that are not the recipe's own
    parts: tuple[JudgedPart, ...]
    repeatability: Repeatability
    same_verdict: Proportion | None
    agreement: Agreement | None  # None: no labels, or no verdicts

    def distances(self, part: JudgedPart) -> tuple[float, float] | None:
        """How many sigmas a part's mean score lies above the review and the reject limit; below them it is negative.

        None without limits, without a valid photograph, or where sigma is 0.
        """
        sigma = self.repeatability.sigma
        if self.limits is None or not part.valid or not sigma:
            return None
        mean = mean_score(part)
        return (mean - self.limits.review) / sigma, (mean - self.limits.reject) / sigma

    def near(self, part: JudgedPart) -> bool:
        """Whether a part lies within three sigmas of a limit."""
        distances = self.distances(part)
        return distances is not None and min(map(abs, distances)) < NEAR

    @property
    def invalid(self) -> int:
        """Photographs that were not judged: they are left out of all figures."""
        return sum(len(part.photographs) - len(part.valid) for part in self.parts)


def mean_score(part: JudgedPart) -> float:
    """Of a part's valid photographs."""
    return statistics.fmean(photograph.score for photograph in part.valid)


def study(
    inspector: Inspector,
    folder: Path,
    labels: Path | None = None,
    *,
    skip: Path | None = None,
    progress: Progress = quiet,
) -> Study:
    """Photograph by photograph through the inspector, and what follows. `skip` is a folder in there that is no part.

    Raises DatasetError for another layout, labels that do not fit, a single part or no repeats, BackendError, and as
    `judge`.
    """
    found = find_parts(folder, labels, skip)
    require_repeats([len(part.photographs) for part in found])
    parts = judge(inspector, found, progress)
    scores = [[photograph.score for photograph in part.valid] for part in parts]
    recipe = inspector.recipe
    return Study(
        bundle=inspector.bundle.path.name,
        recipe=recipe.name,
        recipe_digest=recipe.digest,
        engine=f"{inspector.backend} on {inspector.device} in {inspector.precision}",
        limits=inspector.limits,
        guard=guard_words(recipe, inspector.limits),
        parts=tuple(parts),
        repeatability=repeatability_of(scores),
        same_verdict=same_verdict_of(parts),
        agreement=agreement_of(parts),
    )
