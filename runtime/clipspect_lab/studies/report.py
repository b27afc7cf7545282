"""A study as a document, in a terminal, and as CSV of its photographs."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from typing import Any

from clipspect.recipes.promise import CONFIDENCE
from clipspect_lab.studies.agreement import FALSE_ALARMS, MISSES, WRONG, Agreement, Rate
from clipspect_lab.studies.judged import JudgedPart
from clipspect_lab.studies.study import Study
from clipspect_lab.studies.words import (
    AGREEMENT_COLUMNS,
    PART_COLUMNS,
    TREATMENT,
    agreement_cells,
    limit_rows,
    note_words,
    part_cells,
    repeatability_rows,
)


def study_document(study: Study, command: str) -> dict[str, Any]:
    """Everything, for `--json` and study.json. Shares are 0 to 1; `command` calibrates the recipe."""
    found = study.repeatability
    return {
        "bundle": study.bundle,
        "recipe": {"name": study.recipe, "digest": study.recipe_digest},
        "engine": study.engine,
        "confidence": CONFIDENCE,
        "limits": None if study.limits is None else {"review": study.limits.review, "reject": study.limits.reject},
        "repeatability": {
            "parts": found.parts,
            "photographs": found.photographs,
            "degrees_of_freedom": found.degrees,
            "sigma": found.sigma,
            "interval": list(found.interval),
            "between_sigma": found.between_sigma,
            "share_of_total_sigma": found.share,
            "share_of_total_variance": found.variance_share,
            "distinct_categories": found.distinct_categories,
        },
        "same_verdict": study.same_verdict and study.same_verdict.document(),
        "agreement": study.agreement and _agreement_document(study.agreement),
        "invalid_photographs": study.invalid,
        "notes": note_words(study, command),
        "parts": [_part_document(study, part) for part in study.parts],
    }


def study_text(study: Study, command: str) -> str:
    """As it is read in a terminal."""
    photographs = sum(len(part.photographs) for part in study.parts)
    lines = [
        f"{len(study.parts)} parts, {photographs} photographs; {study.bundle}, recipe {study.recipe!r}; {study.engine}",
        "",
        *(f"{name:16}{words}" for name, words in repeatability_rows(study) + limit_rows(study)),
    ]
    if study.agreement is not None:
        lines += ["", "Agreement with the labels:", *_aligned([AGREEMENT_COLUMNS, *agreement_cells(study.agreement)])]
        lines += [TREATMENT]
    lines += ["", *_aligned([PART_COLUMNS, *(part_cells(study, part) for part in study.parts)], left=(0, 1, 7))]
    if notes := note_words(study, command):
        lines += ["", *(f"note: {words}" for words in notes)]
    return "\n".join(lines)


def photographs_csv(study: Study) -> str:
    """A row a photograph, for another program to analyse."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["part", "label", "photograph", "score", "verdict", "reasons"])
    for part in study.parts:
        for number, shot in enumerate(part.photographs, 1):
            writer.writerow([part.name, part.label, number, shot.score, shot.verdict, "; ".join(shot.reasons)])
    return text.getvalue()


def _agreement_document(agreement: Agreement) -> dict[str, Any]:
    by_photographs, by_parts = agreement.effectiveness
    effective = {"photographs": by_photographs.document(), "parts": by_parts.document()}
    kappa = agreement.kappa
    return {
        "effectiveness": {**effective, "at_least": 1 - WRONG, "bar": agreement.wrong.at_most(WRONG)},
        "miss_rate": {**_rate_document(agreement.misses), "at_most": MISSES, "bar": agreement.misses.at_most(MISSES)},
        "false_alarm_rate": {
            **_rate_document(agreement.false_alarms),
            "at_most": FALSE_ALARMS,
            "bar": agreement.false_alarms.at_most(FALSE_ALARMS),
        },
        "uncertain": {
            "good": _rate_document(agreement.good_uncertain),
            "defect": _rate_document(agreement.defects_uncertain),
        },
        "kappa": None if kappa is None else {"value": kappa.value, "interval": kappa.interval and list(kappa.interval)},
        "treatment": TREATMENT,
    }


def _rate_document(rate: Rate) -> dict[str, Any]:
    return {"photographs": rate.photographs.document(), "parts": rate.parts.document()}


def _part_document(study: Study, part: JudgedPart) -> dict[str, Any]:
    distances = study.distances(part)
    return {
        "part": part.name,
        "label": part.label,
        "sigmas_over_review": distances and distances[0],
        "sigmas_over_reject": distances and distances[1],
        "photographs": [dataclasses.asdict(photograph) for photograph in part.photographs],
    }


def _aligned(rows: Sequence[tuple[str, ...]], left: Sequence[int] = (0, 4)) -> list[str]:
    """Columns of equal width, those of `left` to the left."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]
