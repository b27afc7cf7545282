"""A study's one HTML page: self-contained, no script."""

from __future__ import annotations

import html
from collections.abc import Sequence
from string import Template

from clipspect.base.version import __version__
from clipspect.sinks.report_page import lead
from clipspect.sinks.report_style import STYLE
from clipspect.sinks.verdict_style import VERDICT_STYLES
from clipspect_lab.studies.judged import JudgedPart
from clipspect_lab.studies.study import Study, mean_score
from clipspect_lab.studies.words import (
    AGREEMENT_COLUMNS,
    PART_COLUMNS,
    TREATMENT,
    agreement_cells,
    limit_rows,
    note_words,
    part_cells,
    repeatability_rows,
    verdict_words,
)

_GOOD, _BAD = VERDICT_STYLES["pass"].colour, VERDICT_STYLES["fail"].colour
_STYLE = (
    f":root {{ --good: rgb{_GOOD}; --bad: rgb{_BAD}; }}"
    + """
main { max-width: 1080px; }
td, th { text-align: left; white-space: normal; vertical-align: top; }
tbody th { white-space: nowrap; } .panel + p { margin-top: 12px; }
.plot { width: 34%; min-width: 130px; }
.strip { position: relative; height: 20px; border-bottom: 1px solid var(--line); }
.strip i { position: absolute; top: 6px; width: 9px; height: 9px; margin-left: -4px; border-radius: 50%; opacity: .75; }
.strip i.good { background: var(--good); } .strip i.defect { background: var(--bad); }
.strip i.none { background: #5b6ee1; }
.strip b { position: absolute; top: 0; bottom: 0; border-left: 2px solid #e0a000; }
.strip b.reject { border-color: var(--bad); }
tr.near th::after { content: " \\2022"; color: #e0a000; }
@media (max-width: 700px) {
  main { padding: 24px 12px; } .wide { display: none; } .plot { min-width: 60px; }
  td, th { padding: 5px 6px 5px 0; font-size: 13px; } tbody th { min-width: 6.5em; white-space: normal; }
  .stack thead { display: none; } .stack th, .stack td { display: block; border: 0; padding: 2px 0; }
  .stack th { font-weight: 600; padding-top: 12px; } .stack td:empty { display: none; }
  .stack td[title]:not([title=""])::before { content: attr(title) ": "; color: var(--soft); }
}
@media print { body { background: #fff; } .strip * { print-color-adjust: exact; } tr { break-inside: avoid; } }
"""
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title><style>$style</style></head><body><main>
<h1>$title</h1>
<p>$parts parts, $photographs photographs; $bundle; $engine.</p>
$lead
<h2>Repeatability</h2>
<div class="panel"><table><tbody>$repeatability</tbody></table></div>
$agreement
$notes
<h2>Parts, the highest score first</h2>
<p>A dot is a photograph at its score, from $low to $high. $key</p>
<div class="panel"><table>$heading<tbody>$rows</tbody></table></div>
<p style="margin-top: 28px">clipspect $version, recipe digest $digest</p>
</main></body></html>
"""
_LIMITS_KEY = """Lines: the review and the reject limit; distances to them in sigmas within a part, negative below; a
part within three of a limit has a mark."""


def study_page(study: Study, command: str) -> str:
    """The page's text; `command` calibrates the recipe."""
    shots = [shot.score for part in study.parts for shot in part.valid]
    limits = [] if study.limits is None else [study.limits.review, study.limits.reject]
    low, high = min(shots + limits), max(shots + limits)
    scored = sorted((part for part in study.parts if part.valid), key=mean_score, reverse=True)
    others = [part for part in study.parts if not part.valid]
    notes = note_words(study, command)
    return Template(_PAGE).substitute(
        title=html.escape(f"Study of recipe {study.recipe}"),
        style=STYLE + _STYLE,
        parts=len(study.parts),
        photographs=sum(len(part.photographs) for part in study.parts),
        bundle=html.escape(study.bundle),
        engine=html.escape(study.engine),
        lead=lead(*verdict_words(study)),
        repeatability="".join(_row(row) for row in repeatability_rows(study) + limit_rows(study)),
        agreement=_agreement(study),
        notes=f"<h2>Notes</h2><ul>{''.join(f'<li>{html.escape(note)}</li>' for note in notes)}</ul>" if notes else "",
        low=f"{low:.4g}",
        high=f"{high:.4g}",
        key=_LIMITS_KEY if limits else "",
        heading=_heading(),
        rows="\n".join(_part_row(study, part, low, high) for part in [*scored, *others]),
        version=html.escape(__version__),
        digest=study.recipe_digest[:12],
    )


def _agreement(study: Study) -> str:
    if study.agreement is None:
        return ""
    heading = "".join(f"<th>{name}</th>" for name in AGREEMENT_COLUMNS)
    rows = "".join(_row(cells, AGREEMENT_COLUMNS[1:]) for cells in agreement_cells(study.agreement))
    table = f'<div class="panel stack"><table><thead><tr>{heading}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f"<h2>Agreement with the labels</h2>{table}<p>{TREATMENT}</p>"


def _heading() -> str:
    name, label, _, *others = PART_COLUMNS
    cells = "".join(f'<th class="{_width(i)}">{cell}</th>' for i, cell in enumerate(others))
    return (
        f'<thead><tr><th>{name}</th><th class="wide">{label}</th><th class="plot">photographs</th>{cells}</tr></thead>'
    )


def _part_row(study: Study, part: JudgedPart, low: float, high: float) -> str:
    name, label, _, *others = (html.escape(cell) for cell in part_cells(study, part))
    cells = "".join(f'<td class="{_width(i)}">{cell}</td>' for i, cell in enumerate(others))
    near = ' class="near"' if study.near(part) else ""
    strip = _strip(study, part, low, (high - low) or 1.0)
    return f'<tr{near}><th>{name}</th><td class="wide">{label}</td><td class="plot">{strip}</td>{cells}</tr>'


def _strip(study: Study, part: JudgedPart, low: float, span: float) -> str:
    marks = []
    if study.limits is not None:
        for kind, limit in (("review", study.limits.review), ("reject", study.limits.reject)):
            marks.append(f'<b class="{kind}" style="left: {100 * (limit - low) / span:.2f}%"></b>')
    for shot in part.valid:
        marks.append(f'<i class="{part.label or "none"}" style="left: {100 * (shot.score - low) / span:.2f}%"></i>')
    return f'<div class="strip">{"".join(marks)}</div>'


def _row(cells: Sequence[str], names: Sequence[str] = ()) -> str:
    """The first cell names the row; `names` of the columns stand in the others' titles."""
    first, *others = (html.escape(cell).replace(" %", "\u00a0%") for cell in cells)
    titles = [f' title="{name}"' for name in names] or [""] * len(others)
    return f"<tr><th>{first}</th>{''.join(f'<td{title}>{cell}</td>' for title, cell in zip(titles, others))}</tr>"


def _width(column: int) -> str:
    """Mean and sigma are left out where the page is narrow."""
    return "wide" if column < 2 else ""
