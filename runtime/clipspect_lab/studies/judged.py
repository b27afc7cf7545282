"""The parts of a study with what the machine says of each photograph."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from clipspect.base.progress import Progress, quiet
from clipspect.frame.item import Item
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.result import Verdict
from clipspect_lab.studies.parts import Label, StudyPart

INVALID: Verdict = "invalid"


@dataclass(frozen=True)
class Photograph:
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
    photographs: tuple[Photograph, ...]

    @property
    def valid(self) -> tuple[Photograph, ...]:
        """Those that are not invalid: the scores of the others say nothing of the part."""
        return tuple(photograph for photograph in self.photographs if photograph.verdict != INVALID)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Of the valid photographs; empty where the recipe has no limits."""
        return tuple(photograph.verdict for photograph in self.valid if photograph.verdict is not None)


def judge(inspector: Inspector, parts: Sequence[StudyPart], progress: Progress = quiet) -> list[JudgedPart]:
    """Inspect every photograph. `progress` counts them. Raises ImageError for one that cannot be read."""
    whose = [(index, path) for index, part in enumerate(parts) for path in part.photographs]
    found: list[list[Photograph]] = [[] for _ in parts]
    items = [Item("study", number, None, path) for number, (_, path) in enumerate(whose)]
    progress("", 0, len(items))
    with contextlib.closing(inspector.stream(items)) as outcomes:
        for done, outcome in enumerate(outcomes, 1):
            result, (index, path) = outcome.require(), whose[outcome.item.number]
            found[index].append(Photograph(path.name, result.score, result.verdict, result.reasons))
            progress("", done, len(items))
    return [JudgedPart(part.name, part.label, tuple(photographs)) for part, photographs in zip(parts, found)]
