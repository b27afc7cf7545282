"""Advice in a terminal, and as a document."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from clipspect.recipes.promise import CONFIDENCE, bound, largest_rank, parts_needed, percent
from clipspect_lab.advice.advise import Advice
from clipspect_lab.advice.drawn import MOST_SCORED
from clipspect_lab.advice.trial import Trial

_JUDGED = ("bundle", "judge", "shots", "precision", "engine")
_ACCURATE = ("AUROC", "from", "to", "caught", "at least")
_STEADY = ("spread", "worst part")
_COST = ("ms", "MB")
_TEXT = frozenset({"", "bundle", "judge", "precision", "engine"})  # columns that are aligned to the left
_CHOSEN = "->"


def advice_text(advice: Advice, teach: str | None) -> str:
    """One table, one recommendation, its reason. `teach` is the command that makes its recipe."""
    drawn = advice.drawn
    defects = f" and {len(drawn.defective)} defective" if drawn.defective else ""
    lines = [
        f"{len(drawn.good)} good{defects} parts scored, the same for all; {len(drawn.references)} other good ones are "
        f"references, drawn by seed {drawn.seed}",
        "",
        *_table(advice),
        "",
        *_notes(advice),
        *(f"left out: {what}: {why}" for what, why in advice.left_out.items()),
        "",
        recommendation_words(advice),
    ]
    return "\n".join([*lines, *([f"next: {teach}"] if teach is not None else [])])


def recommendation_words(advice: Advice) -> str:
    """One sentence."""
    found = advice.recommendation
    if found.trial is None:
        return f"recommended: {found.reason}"
    return f"recommended: {found.trial.candidate.label} in {found.trial.backend}: {found.reason}"


def advice_document(advice: Advice, teach: str | None) -> dict[str, Any]:
    """Everything, for `--json`. Shares are 0 to 1."""
    drawn, found = advice.drawn, advice.recommendation
    return {
        "parts": {
            "good": len(drawn.good),
            "defective": len(drawn.defective),
            "not_scored": drawn.not_scored,
        },
        "references": [photograph.name for photograph in drawn.references],
        "seed": drawn.seed,
        "confidence": CONFIDENCE,
        "false_reject_rate": {"asked": advice.false_reject_rate, "promised": _promised(advice)},
        "candidates": [_trial_document(trial) for trial in advice.trials],
        "left_out": advice.left_out,
        "recommended": None if found.trial is None else advice.trials.index(found.trial),
        "not_told_apart": [advice.trials.index(trial) for trial in found.alike],
        "reason": found.reason,
        "next": teach,
    }


def _trial_document(trial: Trial) -> dict[str, Any]:
    accuracy, steady = trial.accuracy, trial.steadiness
    return {
        "bundle": trial.candidate.named,
        "bundle_digest": trial.candidate.bundle.digest,
        "judge": trial.candidate.judge,
        "shots": trial.candidate.shots,
        "words": trial.words or None,
        "backend": trial.backend,
        "device": trial.device,
        "precision": trial.precision,
        "image_auroc": accuracy and accuracy.auroc,
        "image_auroc_interval": accuracy and [accuracy.low, accuracy.high],
        "caught": accuracy and accuracy.caught.document(),
        "good_scores": {
            **dataclasses.asdict(steady),
            "worst": steady.worst if math.isfinite(steady.worst) else None,
        },
        "milliseconds": trial.milliseconds,
        "peak_memory_bytes": trial.peak_bytes,
    }


def _table(advice: Advice) -> list[str]:
    chosen = advice.recommendation.trial
    rows = [("", *_JUDGED, *(_ACCURATE if advice.drawn.defective else _STEADY), *_COST)]
    rows += [(_CHOSEN if trial is chosen else "", *_cells(trial)) for trial in advice.trials]
    widths = [max(map(len, column)) for column in zip(*rows)]
    aligned = [str.ljust if name in _TEXT else str.rjust for name in rows[0]]
    return ["  ".join(align(cell, width) for align, cell, width in zip(aligned, row, widths)).rstrip() for row in rows]


def _cells(trial: Trial) -> tuple[str, ...]:
    candidate, accuracy = trial.candidate, trial.accuracy
    memory = "-" if trial.peak_bytes is None else f"{trial.peak_bytes / 1e6:.0f}"
    if accuracy is not None:
        caught = accuracy.caught
        figures: tuple[str, ...] = (
            *(f"{share * 100:.1f}" for share in (accuracy.auroc, accuracy.low, accuracy.high)),
            f"{caught.count}/{caught.parts}",
            percent(caught.at_least),
        )
    else:
        steady = trial.steadiness
        relative = f"{steady.spread / abs(steady.median) * 100:.1f} %" if steady.median else "-"
        figures = relative, f"{steady.worst:.1f}" if math.isfinite(steady.worst) else "-"
    judged = candidate.named, candidate.judge, str(candidate.shots or "-"), trial.precision, trial.backend
    return *judged, *figures, f"{trial.milliseconds:.1f}", memory


def _notes(advice: Advice) -> list[str]:
    drawn, rate = advice.drawn, advice.false_reject_rate
    promised = percent(_promised(advice))
    notes = []
    if drawn.defective:
        notes.append(
            f"AUROC from, to: {percent(CONFIDENCE)} sure; caught: defective parts that fail at the limit of these good "
            f"parts; at least: of all defective parts like these, {percent(CONFIDENCE)} sure"
        )
    else:
        notes.append(
            "spread: of the good scores but the worst, relative to their median; worst part: how far the worst good "
            "part lies above that median, in spreads"
        )
    notes.append(
        f"{len(drawn.good)} good parts can promise that at most {promised} of good ones fail ({percent(CONFIDENCE)} "
        f"sure); {parts_needed(rate, CONFIDENCE)} are needed for {percent(rate)}"
    )
    notes.append(
        "ms: of a frame, decoding included, median, one candidate after the other; MB: peak of a process of its own"
    )
    notes.append("intervals are of the parts alone: other references (--seed) give other figures, too")
    if drawn.not_scored:
        notes.append(f"{drawn.not_scored} parts were not scored: {MOST_SCORED} of a kind are enough")
    return notes


def _promised(advice: Advice) -> float:
    """Of good parts that at most fail at the limit that catches what is said to be caught."""
    parts = len(advice.drawn.good)
    return bound(max(1, largest_rank(parts, advice.false_reject_rate, CONFIDENCE)), parts, CONFIDENCE)
