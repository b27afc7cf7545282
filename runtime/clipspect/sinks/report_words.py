"""A recipe's promise in words that need no statistics, and what more good parts would buy."""

from __future__ import annotations

import math
from collections.abc import Sequence

from clipspect.recipes.calibration import Calibration, PartScore
from clipspect.recipes.limits import Limits, Promise
from clipspect.recipes.promise import CONFIDENCE, bound, largest_rank, parts_needed, percent
from clipspect.recipes.recipe import Recipe

_RATES = (0.05, 0.02, 0.01, 0.001)  # that people ask for
_RANKS = (1, 2, 3)
_WORTH_LITTLE = 0.2  # a rate from which on a promise is not one
_FEWEST_COUNTED = 5  # of 1,000 parts; where it would be fewer, more parts are spoken of: rounded up, 1 can be 0.1

HOLDS_FOR = (
    "This holds for good parts like the measured ones: the same product, camera, lens and light, made and photographed "
    "as before. When one of them changes, calibrate again."
)


def promise_words(promise: Promise, what: str = "are rejected") -> str:
    """The promise of one limit in a sentence: "Of 1,000 good parts at most 10 are rejected, 95 % sure"."""
    base = 1000
    while promise.rate * base < _FEWEST_COUNTED:
        base *= 10
    most = min(math.ceil(promise.rate * base - 1e-9), base)
    return f"Of {base:,} good parts at most {most:,} {what}, {percent(promise.confidence)} sure"


def lead_words(recipe: Recipe) -> tuple[str, list[str]]:
    """The verdict in whose colour the promise is shown, "" for none, and its sentences."""
    limits, calibration = recipe.limits, recipe.calibration
    if limits is None:
        return "", ["Nothing is promised: this recipe has no limits, so it gives no verdict."]
    promise = limits.reject_promise
    if promise is None:
        if calibration is not None and calibration.estimate and not calibration.by_hand:
            return "uncertain", [
                f"Nothing is promised: the limits are an estimate from {len(calibration.parts)} references, each "
                "scored without its own part of the gallery. Calibrate with good parts that are no references."
            ]
        return "uncertain", ["Nothing is promised: the reject limit was set by hand."]
    sentences = [f"{promise_words(promise)}; measured on {measured_words(promise.parts, calibration)}."]
    if not promise.kept:
        sentences.append(
            f"These are too few parts for the {percent(promise.asked)} that were asked for: that takes "
            f"{parts_needed(promise.asked, promise.confidence):,}. The limit is just above the largest score of the "
            f"good parts; on average it rejects {percent(average(promise))} of good parts, and it can be "
            f"{percent(promise.rate)}."
        )
    if promise.rate >= _WORTH_LITTLE:
        sentences.append("So few parts promise next to nothing.")
    if limits.review_promise is not None:
        sentences.append(f"{promise_words(limits.review_promise, 'are not passed (uncertain or rejected)')}.")
    sentences.append(HOLDS_FOR)
    kept = promise.kept and promise.rate < _WORTH_LITTLE
    return "pass" if kept else "uncertain", sentences


def measured_words(parts: int, calibration: Calibration | None) -> str:
    """How many good parts, and of how many photographs where those are more."""
    words = f"{parts:,} good {'part' if parts == 1 else 'parts'}"
    frames = sum(part.frames for part in good_parts(calibration))
    return f"{words} ({frames:,} photographs)" if frames > parts else words


def good_parts(calibration: Calibration | None) -> list[PartScore]:
    """The parts that count: those that nobody struck."""
    return [part for part in calibration.parts if not part.struck] if calibration is not None else []


def average(promise: Promise) -> float:
    """The share of good parts that reach the limit on average."""
    return promise.rank / (promise.parts + 1)


def limit_rows(limits: Limits) -> list[Sequence[str]]:
    """Each limit, its value and what is promised of it."""
    found = [
        ("review: uncertain from here", limits.review, limits.review_promise, "are not passed"),
        ("reject: fail from here", limits.reject, limits.reject_promise, "are rejected"),
        ("map: a region is what lies over it", limits.map, limits.map_promise, "show any region"),
    ]
    return [
        (name, f"{value:.6g}", *_promised(promise, what)) for name, value, promise, what in found if value is not None
    ]


def _promised(promise: Promise | None, what: str) -> tuple[str, str, str]:
    if promise is None:
        return "nothing", "unknown", "-"
    place = f"{promise.rank} of {promise.parts:,}"
    return f"at most {percent(promise.rate)} {what}", percent(average(promise)), place


def more_parts(parts: int, confidence: float = CONFIDENCE) -> tuple[list[str], list[Sequence[str]], str]:
    """What more good parts would buy: a table's header, its rows, and what the parts at hand give at best."""
    header = ["at most rejected", *(f"parts, k = {rank}" for rank in _RANKS), f"with your {parts:,}"]
    rows: list[Sequence[str]] = []
    for rate in _RATES:
        rank = largest_rank(parts, rate, confidence)
        needed = parts_needed(rate, confidence)
        here = f"yes, k = {rank}" if rank else f"no, {needed - parts:,} more"
        rows.append((percent(rate), *(f"{parts_needed(rate, confidence, rank):,}" for rank in _RANKS), here))
    best = f"at most {percent(bound(1, parts, confidence))}" if parts else "nothing"
    words = (
        f"The best that {parts:,} good {'part' if parts == 1 else 'parts'} can promise is {best} "
        f"({percent(confidence)} sure). The limit lies just above the k-th largest score: with a larger k it is lower, "
        "and catches more defects for the same promise."
    )
    return header, rows, words
