"""What a study found, in words: the lines that the terminal and the page share."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter

from clipspect.recipes.promise import CONFIDENCE, percent
from clipspect.recipes.proportion import Proportion
from clipspect_lab.studies.agreement import FALSE_ALARMS, MISSES, WRONG, Agreement, Met, Rate
from clipspect_lab.studies.judged import JudgedPart
from clipspect_lab.studies.parts import DEFECT, GOOD
from clipspect_lab.studies.study import NEAR, Study, mean_score

Row = tuple[str, str]

TREATMENT = (
    "A rate of photographs is the usual figure; of parts, one such photograph is enough. Photographs of one part are "
    "not independent, so intervals and bounds are of parts, and the bar is met where the bound is within it. An "
    "uncertain verdict sends the part to a person: it is neither a miss nor a false alarm, and it counts against "
    "effectiveness."
)
AGREEMENT_COLUMNS = ("", "of photographs", f"of parts ({percent(CONFIDENCE)} sure)", "usual bar", "")


def verdict_words(study: Study) -> tuple[str, ...]:
    """What the study comes to: a verdict ("" where nothing was compared with labels), and sentences."""
    share, agreement = study.repeatability.share, study.agreement
    repeats = () if share is None else (f"Repeatability is {percent(share)} of these parts' total sigma.",)
    if agreement is None:
        return "", "Verdicts were not compared with labels.", *repeats
    rates = {
        "effectiveness": agreement.wrong.at_most(WRONG),
        "miss rate": agreement.misses.at_most(MISSES),
        "false alarm rate": agreement.false_alarms.at_most(FALSE_ALARMS),
    }
    missed = [name for name, met in rates.items() if met == "not met"]
    unknown = [name for name, met in rates.items() if met not in ("met", "not met")]
    if missed:
        return "fail", f"The usual bar is not met: {', '.join(missed)}.", *repeats
    if unknown:
        return "uncertain", f"So few parts do not show that the usual bar is met: {', '.join(unknown)}.", *repeats
    return "pass", "The usual bar is met: effectiveness, misses and false alarms.", *repeats


def repeatability_rows(study: Study) -> list[Row]:
    """The spread of the score within parts and between them."""
    found = study.repeatability
    low, high = found.interval
    rows = [
        ("within a part", f"sigma {found.sigma:.3g} ({low:.3g} to {high:.3g}, {percent(CONFIDENCE)} sure)"),
        ("between parts", f"sigma {found.between_sigma:.3g}"),
    ]
    if found.share is not None and found.variance_share is not None:
        shares = percent(found.share), percent(found.variance_share)
        words = f"{shares[0]} of these parts' total sigma (%GRR), {shares[1]} of the variance"
        if found.distinct_categories is not None:
            words += f"; distinct categories: {found.distinct_categories}"
        rows.append(("repeatability", words))
    return rows


def limit_rows(study: Study) -> list[Row]:
    """The limits in sigmas, and the parts that lie near them or got several verdicts."""
    limits, sigma = study.limits, study.repeatability.sigma
    if limits is None:
        return []
    apart = f", {(limits.reject - limits.review) / sigma:.2g} sigmas apart" if sigma else ""
    rows = [("limits", f"review {limits.review:.4g}, reject {limits.reject:.4g}{apart}")]
    if sigma:
        near = [part.name for part in study.parts if study.near(part)]
        rows.append(("near a limit", f"{len(near)} of {len(study.parts)} parts within {NEAR:g} sigmas{_listed(near)}"))
    if study.same_verdict is not None:
        flips = [part.name for part in study.parts if len(set(part.verdicts)) > 1]
        rows.append(("same verdict", f"{study.same_verdict.words()} of the repeated parts{_listed(flips, 'not')}"))
    return rows


def agreement_cells(agreement: Agreement) -> list[tuple[str, ...]]:
    """A row a figure: its name, of photographs, of parts, the bar, whether it is met."""
    by_photographs, by_parts = agreement.effectiveness
    kappa = agreement.kappa
    rows: list[tuple[str, ...]] = [
        (
            "effectiveness",
            _share(by_photographs),
            f"{_share(by_parts)} (at least {math.floor(by_parts.at_least * 1000) / 10:.1f} %)",
            f"at least {percent(1 - WRONG)}",
            _met(agreement.wrong, WRONG, "parts"),
        ),
        _rate_cells("miss rate", agreement.misses, MISSES, "defective parts"),
        _rate_cells("false alarm rate", agreement.false_alarms, FALSE_ALARMS, "good parts"),
        _rate_cells("good, uncertain", agreement.good_uncertain),
        _rate_cells("defective, uncertain", agreement.defects_uncertain),
    ]
    words = "unknown" if kappa is None else f"{kappa.value:.2f}"
    if kappa is not None and kappa.interval is not None:
        words += f" ({kappa.interval[0]:.2f} to {kappa.interval[1]:.2f})"
    return [*rows, ("kappa", words, "", "", "")]


def note_words(study: Study, command: str) -> list[str]:
    """What a reader must know, what the study could not say, and what to do for it; `command` calibrates the recipe."""
    found = []
    if study.limits is None:
        found.append(f"the recipe has no limits, so there are no verdicts to compare: {command}")
    if study.guard:
        found.append(study.guard)
    if all(part.label is None for part in study.parts):
        found.append(
            "no part has a label, so agreement is unknown: sort parts into good/ and defect/, or give --labels"
        )
    elif unlabelled := [part.name for part in study.parts if part.label is None]:
        found.append(f"parts without a label count for repeatability alone{_listed(unlabelled)}")
    elif missing := [kind for kind in (GOOD, DEFECT) if all(part.label != kind for part in study.parts if part.valid)]:
        other = "miss rate" if missing[0] == DEFECT else "false alarm rate"
        found.append(f"no part with a valid photograph is labelled {missing[0]}, so the {other} and kappa are unknown")
    if lost := [part.name for part in study.parts if not part.valid]:
        found.append(f"parts whose photographs are all invalid are in no figure{_listed(lost)}")
    if study.invalid:
        reasons = Counter(
            _without_value(reason)
            for part in study.parts
            for photograph in part.photographs
            for reason in photograph.reasons
        )
        told = f" ({', '.join(f'{reason}: {times}' for reason, times in reasons.most_common())})" if reasons else ""
        found.append(f"invalid photographs, left out of every figure: {study.invalid}{told}")
    if not study.repeatability.sigma:
        found.append("the photographs of a part all have one score, so no distance can be told in sigmas")
    return found


def part_cells(study: Study, part: JudgedPart) -> tuple[str, ...]:
    """A row of the table of parts."""
    if not part.valid:
        return part.name, part.label or "-", str(len(part.photographs)), "-", "-", "-", "-", "invalid"
    scores = [photograph.score for photograph in part.valid]
    spread = f"{statistics.stdev(scores):#.2g}" if len(scores) > 1 else "-"
    distances = study.distances(part)
    away = ("-", "-") if distances is None else tuple(f"{distance:+.1f}" for distance in distances)
    verdicts = Counter(photograph.verdict or "scored" for photograph in part.photographs)
    told = ", ".join(f"{times} {verdict}" for verdict, times in verdicts.items())
    return part.name, part.label or "-", str(len(part.photographs)), f"{mean_score(part):.4f}", spread, *away, told


PART_COLUMNS = ("part", "label", "photos", "mean", "sigma", "to review", "to reject", "verdicts")


def _without_value(reason: str) -> str:
    """What a photograph of another value shares: "contrast below 0.1", "the frame is black", "aspect"."""
    check = re.match(r"(\w+) \S+ is (below|above) (\S+)", reason)
    return " ".join(check.groups()) if check else re.split(r"[:(]", reason)[0].strip()


def _rate_cells(name: str, rate: Rate, bar: float | None = None, kind: str = "") -> tuple[str, ...]:
    if not rate.parts.parts:
        return name, "unknown", "", "" if bar is None else f"at most {percent(bar)}", ""
    if bar is None:
        return name, _share(rate.photographs), rate.parts.words(), "", ""
    # the bound that decides, rounded away from the bar, lest it seem to lie within
    bound = f"{_share(rate.parts)} (at most {math.ceil(rate.parts.at_most * 1000) / 10:.1f} %)"
    return name, _share(rate.photographs), bound, f"at most {percent(bar)}", _met(rate, bar, kind)


def _met(rate: Rate, bar: float, kind: str) -> str:
    met: Met = rate.at_most(bar)
    if met != "not shown":
        return met
    more = rate.parts_to_meet(bar)
    return f"not shown by so few parts: {more} more {kind}, none wrong, would" if more else met


def _share(share: Proportion) -> str:
    return "unknown" if share.value is None else f"{share.count} of {share.parts}, {percent(share.value)}"


def _listed(names: list[str], word: str = "") -> str:
    """ ": a, b, c and 4 more"; empty where there are none."""
    if not names:
        return ""
    shown, rest = names[:5], len(names) - 5
    return f"{', ' + word if word else ''}: {', '.join(shown)}{f' and {rest} more' if rest > 0 else ''}"
