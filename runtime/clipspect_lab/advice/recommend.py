"""The recommendation: the best candidate, or of those that these photographs do not tell from it, the cheapest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from clipspect.engines.graph import WORDS
from clipspect_lab.advice.figures import auroc_apart, worst_apart
from clipspect_lab.advice.trial import Trial

_AS_FAST = 1.1  # times the fastest: between such times nobody chooses
_CHANCE = 0.5


@dataclass(frozen=True, eq=False)
class Recommendation:
    """One trial, or none, and why."""

    trial: Trial | None
    alike: tuple[Trial, ...]  # those that the photographs do not tell from the best, which is among them
    reason: str


def recommend(trials: Sequence[Trial], seed: int = 0) -> Recommendation:
    """Of one trial or more, all of the same parts."""
    return _by_accuracy(trials, seed) if trials[0].accuracy is not None else _by_steadiness(trials, seed)


def _by_accuracy(trials: Sequence[Trial], seed: int) -> Recommendation:
    best = max(trials, key=_auroc)
    found = best.accuracy
    assert found is not None
    if found.low <= _CHANCE:
        return Recommendation(
            None,
            (),
            f"none: the best, {best.candidate.label}, has an image AUROC of {_points(found.auroc)} "
            f"({_points(found.low)} to {_points(found.high)}), which these photographs do not tell from chance "
            "(50.0): give more of them, or try other bundles",
        )
    alike = _alike(best, trials, seed)
    proven = [trial for trial in alike if trial.accuracy is not None and trial.accuracy.low > _CHANCE]
    chosen = _cheapest(proven, key=lambda trial: (-_auroc(trial), trial.candidate.shots))
    own = chosen.accuracy
    assert own is not None
    figure = f"image AUROC {_points(own.auroc)} ({_points(own.low)} to {_points(own.high)})"
    if len(trials) == 1:
        return Recommendation(chosen, alike, f"{figure}; nothing else was tried")
    if len(alike) == 1:
        return Recommendation(chosen, alike, f"{figure}: these photographs tell it from all others that were tried")
    if own.auroc == found.auroc:
        return Recommendation(
            chosen,
            alike,
            f"{figure}: the highest, and the cheapest of {len(alike)} that these photographs do not tell apart",
        )
    return Recommendation(
        chosen,
        alike,
        f"{figure}: the cheapest of {len(alike)} that these photographs do not tell apart; the best of them is "
        f"{best.candidate.label} with {_points(_auroc(best))}, and more photographs could tell",
    )


def _by_steadiness(trials: Sequence[Trial], seed: int) -> Recommendation:
    """Words that know nothing of the part can score as steadily: where nothing tells them apart, photographs do."""
    best = min(trials, key=_worst)
    alike = _alike(best, trials, seed)
    compare = [trial for trial in alike if trial.candidate.judge != WORDS]
    chosen = _cheapest(compare or alike, key=_worst)
    far = f"the worst good part lies {_worst(chosen):.1f} spreads above the rest"
    others = ""
    if len(alike) > 1:
        kind = " that compare with good parts" if len(compare) not in (0, len(alike)) else ""
        others = f": of {len(alike)} that these photographs do not tell apart, the cheapest{kind}"
    unknown = "without defective parts nothing is known of what it catches: give some, after the good ones"
    return Recommendation(chosen, alike, f"{far}{others}; {unknown}")


def _alike(best: Trial, trials: Sequence[Trial], seed: int) -> tuple[Trial, ...]:
    return tuple(trial for trial in trials if trial is best or not _apart(best, trial, seed))


def _apart(best: Trial, trial: Trial, seed: int) -> bool:
    if best.accuracy is None:
        return worst_apart(best.good, trial.good, seed)
    return auroc_apart((best.good, best.defective), (trial.good, trial.defective), seed)


def _cheapest(trials: Sequence[Trial], key: Callable[[Trial], Any]) -> Trial:
    """The fastest; of those about as fast, the first by the key."""
    fastest = min(trial.milliseconds for trial in trials)
    return min((trial for trial in trials if trial.milliseconds <= _AS_FAST * fastest), key=key)


def _auroc(trial: Trial) -> float:
    assert trial.accuracy is not None
    return trial.accuracy.auroc


def _worst(trial: Trial) -> float:
    return trial.steadiness.worst


def _points(share: float) -> str:
    return f"{share * 100:.1f}"
