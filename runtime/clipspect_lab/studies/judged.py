"""The parts of a study with what the machine says of each photograph."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from clipspect.base.progress import Progress, quiet
from clipspect.frame.item import Item
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.photographs import read_photographs, refuse_equal, refuse_references
from clipspect.inspection.result import Verdict
from clipspect_lab.studies.parts import Label, StudyPart

INVALID: Verdict = "invalid"


@dataclass(frozen=True)
class JudgedPhotograph:
    """One photograph of a part, inspected."""

    file: str  # its name in the part's folder
    score: float
    verdict: Verdict | None  # None: the recipe has no limits
    reasons: tuple[str, ...] = ()  # why it is invalid


@dataclass(frozen=True)
class JudgedPart:
    """One part with its photographs."""

    name: str
    label: Label | None
    photographs: tuple[JudgedPhotograph, ...]

    @property
    def valid(self) -> tuple[JudgedPhotograph, ...]:
        """Those that are not invalid: the scores of the others say nothing of the part."""
        return tuple(photograph for photograph in self.photographs if photograph.verdict != INVALID)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Of the valid photographs; empty where the recipe has no limits."""
        return tuple(photograph.verdict for photograph in self.valid if photograph.verdict is not None)


def judge(inspector: Inspector, parts: Sequence[StudyPart], progress: Progress = quiet) -> list[JudgedPart]:
    """Inspect every photograph, once all are read. `progress` counts them.

    Raises ImageError for what cannot be read, RecipeError for a photograph that is there twice, or in the gallery.
    """
    whose = [(index, path) for index, part in enumerate(parts) for path in part.photographs]
    items = [Item("study", number, None, path) for number, (_, path) in enumerate(whose)]
    _require_fit(inspector, items, progress)
    found: list[list[JudgedPhotograph]] = [[] for _ in parts]
    with contextlib.closing(inspector.stream(items)) as outcomes:
        for done, outcome in enumerate(outcomes, 1):
            result, (index, path) = outcome.require(), whose[outcome.item.number]
            found[index].append(JudgedPhotograph(path.name, result.score, result.verdict, result.reasons))
            progress("inspecting", done, len(items))
    return [JudgedPart(part.name, part.label, tuple(photographs)) for part, photographs in zip(parts, found)]


def _require_fit(inspector: Inspector, items: Sequence[Item], progress: Progress) -> None:
    """A copy repeats nothing, and a reference's score says nothing of parts to come."""
    spec = inspector.bundle.manifest.image
    photographs = read_photographs(items, spec, workers=inspector.workers, progress=progress)
    refuse_equal(photographs)
    refuse_references(inspector.recipe, photographs, instead="study others")
