"""Attribute agreement: the machine's verdicts beside an expert's labels, and beside its own over repeats.

Photographs of one part are not independent, parts are. So each rate is counted twice: of photographs, which is the
usual figure, and of parts, one wrong photograph making the part wrong. Bounds are of parts. Where parts have equally
many photographs, the rate of parts is never below that of photographs, so its upper bound holds for both; where they
have not, it can be below, and a bar that the photographs miss is not met whatever the parts show.
An uncertain verdict sends the part to a person: it is neither a miss nor a false alarm, and no agreement either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from clipspect.inspection.result import Verdict
from clipspect.recipes.promise import CONFIDENCE, parts_needed
from clipspect.recipes.proportion import Proportion
from clipspect_lab.studies.judged import JudgedPart
from clipspect_lab.studies.parts import DEFECT, GOOD, Label

WRONG, MISSES, FALSE_ALARMS = 0.10, 0.02, 0.05  # the usual bar, at most; effectiveness is then at least 90 %
_RESAMPLES, _SEED = 2000, 0
_RIGHT: dict[Label, Verdict] = {GOOD: "pass", DEFECT: "fail"}
_VERDICTS: tuple[Verdict, ...] = ("pass", "uncertain", "fail")

Met = Literal["met", "not met", "not shown"]


@dataclass(frozen=True)
class Rate:
    """How often something was found of photographs, and of parts with any such photograph."""

    photographs: Proportion
    parts: Proportion

    def at_most(self, bar: float) -> Met:
        """Met where the parts show it; not met where the photographs' own share is over the bar."""
        if self.photographs.value is not None and self.photographs.value > bar:
            return "not met"
        return "met" if self.parts.parts and self.parts.at_most <= bar else "not shown"

    def parts_to_meet(self, bar: float) -> int:
        """How many more parts would show it, if none of them is wrong; 0: these do."""
        if self.parts.at_most <= bar:
            return 0
        return parts_needed(bar, self.parts.confidence, self.parts.count + 1) - self.parts.parts


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa of all photographs, with its interval by a bootstrap over parts."""

    value: float
    interval: tuple[float, float] | None  # None: nothing to resample, all agree, or one kind is of a single part


@dataclass(frozen=True)
class Agreement:
    """Of the labelled parts with valid photographs."""

    wrong: Rate  # whatever is not the expert's word, uncertain verdicts among it; effectiveness is what it leaves
    misses: Rate  # defective, and pass
    false_alarms: Rate  # good, and fail
    good_uncertain: Rate
    defects_uncertain: Rate
    kappa: Kappa | None  # None: all labels are of one kind

    @property
    def effectiveness(self) -> tuple[Proportion, Proportion]:
        """Of photographs, and of parts all of whose photographs are judged as the expert says."""
        return _rest(self.wrong.photographs), _rest(self.wrong.parts)


def agreement_of(parts: Sequence[JudgedPart]) -> Agreement | None:
    """The machine beside the expert; None where there are no labels, or no verdicts."""
    labelled = [part for part in parts if part.label is not None and part.verdicts]
    if not labelled:
        return None
    good = [part for part in labelled if part.label == GOOD]
    defective = [part for part in labelled if part.label == DEFECT]

    def rate(among: Sequence[JudgedPart], wrong: Callable[[JudgedPart, Verdict], bool]) -> Rate:
        counts = [[wrong(part, verdict) for verdict in part.verdicts] for part in among]
        return Rate(
            Proportion(sum(map(sum, counts)), sum(map(len, counts))),
            Proportion(sum(map(any, counts)), len(counts)),
        )

    return Agreement(
        wrong=rate(labelled, lambda part, verdict: verdict != _RIGHT[part.label or GOOD]),
        misses=rate(defective, lambda _, verdict: verdict == "pass"),
        false_alarms=rate(good, lambda _, verdict: verdict == "fail"),
        good_uncertain=rate(good, lambda _, verdict: verdict == "uncertain"),
        defects_uncertain=rate(defective, lambda _, verdict: verdict == "uncertain"),
        kappa=_kappa(labelled) if good and defective else None,
    )


def same_verdict_of(parts: Sequence[JudgedPart]) -> Proportion | None:
    """Within-appraiser agreement: parts whose photographs, two or more, all have one verdict; None without any."""
    repeated = [part.verdicts for part in parts if len(part.verdicts) > 1]
    if not repeated:
        return None
    return Proportion(sum(len(set(verdicts)) == 1 for verdicts in repeated), len(repeated))


def kappas(tables: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Cohen's kappa of tables (..., K, K) of counts; NaN where both sides know one class alone."""
    total = tables.sum((-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        agreed = np.trace(tables, axis1=-2, axis2=-1) / total
        expected = (tables.sum(-1) * tables.sum(-2)).sum(-1) / total**2
        found: npt.NDArray[np.float64] = (agreed - expected) / (1 - expected)
    return found


def _kappa(parts: Sequence[JudgedPart]) -> Kappa:
    tables = np.zeros((len(parts), len(_VERDICTS), len(_VERDICTS)))  # the expert's class, the machine's
    for table, part in zip(tables, parts):
        for verdict in part.verdicts:
            table[_VERDICTS.index(_RIGHT[part.label or GOOD]), _VERDICTS.index(verdict)] += 1
    value = float(kappas(tables.sum(0)))
    labels = [part.label for part in parts]
    if value == 1 or min(labels.count(GOOD), labels.count(DEFECT)) < 2:
        return Kappa(value, None)
    # each kind is resampled by itself: the study chose how many of each there are
    rng = np.random.default_rng(_SEED)
    drawn = np.zeros((_RESAMPLES, *tables.shape[1:]))
    for label in (GOOD, DEFECT):
        own = tables[[i for i, given in enumerate(labels) if given == label]]
        times = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), _RESAMPLES)
        drawn += np.tensordot(times, own, 1)
    low, high = np.quantile(kappas(drawn), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Kappa(value, (float(low), float(high)))


def _rest(share: Proportion) -> Proportion:
    return Proportion(share.parts - share.count, share.parts, share.confidence)
