"""False rejects and escapes of a class: at the lowest limit that passes all good images, and at the recipe's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.inspection.result import Verdict, decide
from clipspect.recipes.defects import BestF1, Defects, best_f1
from clipspect.recipes.limits import Limits
from clipspect.recipes.promise import bound
from clipspect.recipes.proportion import Proportion

LIMITS_SAY_NOTHING = "the recipe's limits were calibrated with another engine or bundle and say nothing of these scores"


@dataclass(frozen=True)
class Counts:
    """Images by verdict."""

    passed: int = 0
    uncertain: int = 0
    failed: int = 0
    invalid: int = 0

    @property
    def judged(self) -> int:
        """All but the invalid ones: limits say nothing of those."""
        return self.passed + self.uncertain + self.failed


@dataclass(frozen=True)
class AtLimits:
    """The images of a class at limits."""

    review: float
    reject: float
    good: Counts
    defective: Counts

    def false_rejects(self) -> Proportion:
        """Good images that fail."""
        return Proportion(self.good.failed, self.good.judged)

    def not_passed(self) -> Proportion:
        """Good images that fail or are uncertain."""
        return Proportion(self.good.judged - self.good.passed, self.good.judged)

    def defects(self, best: BestF1 | None) -> Defects:
        """Defective images that pass, and that do not fail."""
        counts = self.defective
        return Defects(
            Proportion(counts.passed, counts.judged), Proportion(counts.passed + counts.uncertain, counts.judged), best
        )


@dataclass(frozen=True)
class ClassVerdicts:
    """A class at both limits, and the best F1 beside; None where it has no such images, or its recipe no limits."""

    all_good_pass: AtLimits | None  # at the lowest limit that passes every good image
    recipes_limits: AtLimits | None
    best_f1: BestF1 | None


def class_verdicts(
    defective: Sequence[bool],
    scores: Sequence[float],
    verdicts: Sequence[Verdict | None],
    limits: Limits | None,
) -> ClassVerdicts:
    """Of each image whether it is defective, its score, and its verdict at the limits in use, if there are any."""
    labels, values = np.array(defective, bool), np.array(scores, np.float64)
    good, bad = values[~labels], values[labels]
    passing = None
    if len(good):
        limit = float(np.nextafter(good.max(), np.inf))
        judged = [decide(score, Limits(limit, limit)) for score in values.tolist()]
        passing = _at(limit, limit, labels, judged)
    own = None if limits is None else _at(limits.review, limits.reject, labels, verdicts)
    return ClassVerdicts(passing, own, best_f1(good, bad) if len(good) and len(bad) else None)


def verdicts_document(found: ClassVerdicts) -> dict[str, Any]:
    """As `results.json` has it, for each class."""
    passing, own = found.all_good_pass, found.recipes_limits
    return {
        "all_good_pass": passing
        and {
            "limit": passing.reject,
            "good_to_come_rejected_at_most": bound(1, passing.good.judged, passing.false_rejects().confidence),
            **passing.defects(found.best_f1).document(),
        },
        "recipes_limits": own
        and {
            "review": own.review,
            "reject": own.reject,
            "false_rejects": own.false_rejects().document() if own.good.judged else None,
            "good_not_passed": own.not_passed().document() if own.good.judged else None,
            "invalid": {"good": own.good.invalid, "defective": own.defective.invalid},
            **own.defects(found.best_f1).document(),
        },
    }


def _at(review: float, reject: float, defective: npt.NDArray[np.bool_], verdicts: Sequence[Verdict | None]) -> AtLimits:
    good = Counter(verdict for verdict, bad in zip(verdicts, defective) if not bad)
    bad = Counter(verdict for verdict, bad in zip(verdicts, defective) if bad)
    return AtLimits(review, reject, _counts(good), _counts(bad))


def _counts(found: Counter[Verdict | None]) -> Counts:
    return Counts(found["pass"], found["uncertain"], found["fail"], found["invalid"])
