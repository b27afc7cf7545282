"""What defective parts show at limits: how many pass as good, and what that says of those to come.

Limits come from good parts alone. Escapes need defects: e of m that pass mean that at most Beta^-1(C; e + 1, m - e) of
defective parts like these pass, with confidence C. The limit of the best F1 stands beside it for comparison: it is the
one that suits these very parts best, so it promises nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import RecipeError
from clipspect.recipes.limits import Limits
from clipspect.recipes.promise import CONFIDENCE, parts_needed, percent
from clipspect.recipes.proportion import Proportion, ppm
from clipspect.recipes.recipe import Recipe

_WORTH_SHOWING = (0.1, 0.05, 0.01)  # escape rates; the next of them is what more parts would buy


@dataclass(frozen=True)
class BestF1:
    """The highest limit, fail from it on, at which F1 is largest on the very parts that it was chosen on."""

    limit: float
    f1: float
    false_rejects: Proportion  # good parts that it fails
    missed: Proportion  # defective parts that it does not fail


@dataclass(frozen=True)
class Defects:
    """Defective parts at limits. Without any, the escape rate is unknown, and all bounds are 1."""

    escaped: Proportion  # defective parts that pass
    not_failed: Proportion  # that pass, are uncertain or invalid
    best_f1: BestF1 | None  # None: no defective parts that a limit judges, or no good ones
    invalid: int = 0  # parts that are neither: no frame of them is like those of good ones, so a person has to look

    @property
    def parts(self) -> int:
        """How many defective parts there were."""
        return self.escaped.parts

    @property
    def failed(self) -> int:
        """How many of them fail."""
        return self.parts - self.not_failed.count

    def rows(self) -> list[tuple[str, str]]:
        """What there is to say: each line's name and its words."""
        if not self.parts:
            return [("escape rate", f"unknown: no defective part was scored; {self._more()}")]
        uncertain = self.not_failed.count - self.escaped.count - self.invalid
        caught = f"{self.failed + uncertain} of {self.parts} ({self.failed} fail, {uncertain} uncertain)"
        if self.invalid:
            caught += f"; {self.invalid} more are invalid: their frames are unlike those of good parts"
        found = [("defects caught", caught), ("escape rate", _rate(self.escaped, "pass"))]
        if uncertain or self.invalid:
            others = "pass, are uncertain or invalid" if self.invalid else "pass or are uncertain"
            found.append(("not failed", _rate(self.not_failed, others)))
        if more := self._more():
            found.append(("more defects", more))
        if self.best_f1 is not None:
            found.append(("best F1", _best_f1_words(self.best_f1)))
        return found

    def lines(self) -> list[str]:
        """The same, a line each: "escape rate: unknown: ..."."""
        return [f"{name}: {words}" for name, words in self.rows()]

    def document(self) -> dict[str, Any]:
        """What JSON documents say; `escape_rate` is null where it is unknown."""
        best = self.best_f1
        return {
            "defective_parts": self.parts,
            "invalid_parts": self.invalid,
            "escape_rate": self.escaped.document() if self.parts else None,
            "not_failed": self.not_failed.document() if self.parts else None,
            "best_f1": best
            and {
                "limit": best.limit,
                "f1": best.f1,
                "false_rejects": best.false_rejects.document(),
                "missed": best.missed.document(),
            },
            "words": self.lines(),
        }

    def _more(self) -> str:
        """What more defective parts would buy; empty where there are many, or where too many of them pass."""
        escaped = self.escaped
        rate = next((rate for rate in _WORTH_SHOWING if (escaped.value or 0) < rate < escaped.at_most), None)
        if rate is None:
            return ""
        needed = parts_needed(rate, escaped.confidence, escaped.count + 1)
        sure = f"at most {percent(rate)} ({percent(escaped.confidence)} sure)"
        if not self.parts:
            return f"{needed} of which none passes would show {sure}"
        return f"{needed - self.parts} more of which none passes would show {sure}"


def defects_of(recipe: Recipe) -> Defects | None:
    """What the defective parts that a recipe was calibrated beside show at its limits; None: it has no limits."""
    limits, calibration = recipe.limits, recipe.calibration
    if limits is None:
        return None
    good = [part.score for part in calibration.parts if not part.struck] if calibration is not None else []
    found = calibration.defects if calibration is not None else ()
    defects = [part.score for part in found if not part.invalid]
    promise = limits.reject_promise
    confidence = CONFIDENCE if promise is None else promise.confidence
    return escapes_of(limits, good, defects, confidence, invalid=len(found) - len(defects))


def escapes_of(
    limits: Limits,
    good: npt.ArrayLike,
    defects: npt.ArrayLike,
    confidence: float = CONFIDENCE,
    *,
    invalid: int = 0,
) -> Defects:
    """What the scores of defective parts show at limits; those of good parts are for the best F1 alone.

    One finite score a part; there need be none of either. `invalid` are so many defective parts more, whose frames no
    limit judges. Raises RecipeError.
    """
    kept, bad = _scores(good, "good"), _scores(defects, "defective")
    parts = len(bad) + invalid
    return Defects(
        escaped=Proportion(int((bad < limits.review).sum()), parts, confidence),
        not_failed=Proportion(int((bad < limits.reject).sum()) + invalid, parts, confidence),
        best_f1=best_f1(kept, bad, confidence) if len(kept) and len(bad) else None,
        invalid=invalid,
    )


def best_f1(good: npt.ArrayLike, defects: npt.ArrayLike, confidence: float = CONFIDENCE) -> BestF1:
    """The limit of the largest F1, 2 TP / (2 TP + FP + FN). Raises RecipeError unless there are both kinds of parts."""
    kept, bad = np.sort(_scores(good, "good")), np.sort(_scores(defects, "defective"))
    if not (len(kept) and len(bad)):
        raise RecipeError("the best F1 needs scores of good and of defective parts")
    levels = np.unique(bad)[::-1]  # between two of them F1 only falls
    caught = len(bad) - np.searchsorted(bad, levels)
    rejected = len(kept) - np.searchsorted(kept, levels)
    f1 = 2 * caught / (caught + rejected + len(bad))
    best = int(np.argmax(f1))
    return BestF1(
        limit=float(levels[best]),
        f1=float(f1[best]),
        false_rejects=Proportion(int(rejected[best]), len(kept), confidence),
        missed=Proportion(len(bad) - int(caught[best]), len(bad), confidence),
    )


def _rate(share: Proportion, what: str) -> str:
    """One line of it: "0 of 29 pass: at most 9.8 % (98,000 PPM) of defective parts like these do, 95 % sure"."""
    counted = f"{share.count} of {share.parts} {what}"
    if share.count:
        counted += f", {percent(share.count / share.parts)}"
    bound = f"at most {percent(share.at_most)} ({ppm(share.at_most)})"
    return f"{counted}: {bound} of defective parts like these do, {percent(share.confidence)} sure"


def _best_f1_words(best: BestF1) -> str:
    return (
        f"{best.f1:.3f} at limit {best.limit:.4g}, which fails {best.false_rejects.count} of "
        f"{best.false_rejects.parts} good parts and misses {best.missed.count} of {best.missed.parts} defective ones; "
        "chosen on these very parts, it promises nothing"
    )


def _scores(values: npt.ArrayLike, what: str) -> npt.NDArray[np.float64]:
    try:
        scores = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"scores of {what} parts: expected finite numbers ({error})") from error
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise RecipeError(f"scores of {what} parts: expected finite numbers, one a part")
    return scores
