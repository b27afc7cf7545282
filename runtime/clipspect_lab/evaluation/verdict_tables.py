"""False rejects and escapes of every class as a person reads them: in a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clipspect.recipes.promise import CONFIDENCE, percent
from clipspect.recipes.proportion import Proportion, ppm

Rows = list[list[str]]

_PASSING = "Escapes at the lowest limit that passes all good images"
_OWN = "At the recipe's limits"
_SURE = f"{percent(CONFIDENCE)} sure"
_NOTES = {
    _PASSING: f"Escapes: defective images that pass. At most: of defective parts like these, {_SURE}. Good to come: of "
    "good parts like these at most so many would fail there. The best F1 is chosen on these very images and promises "
    "nothing. Invalid images count by their scores here, too.",
    _OWN: "False rejects: good images that fail. Escapes: defective ones that pass. In brackets the "
    f"{percent(CONFIDENCE)} interval. Invalid images are not judged and count in neither.",
}


def verdict_lines(found: dict[str, Any]) -> list[str]:
    """The tables in a terminal."""
    lines = []
    for title, rows in _tables(found):
        widths = [max(map(len, column)) for column in zip(*rows)]
        aligned = ["  ".join(_padded(cells, widths)).rstrip() for cells in rows]
        lines += ["", f"{title}:", *aligned, _NOTES[title]]
    return lines


def verdict_markdown(found: dict[str, Any]) -> list[str]:
    """The same as Markdown."""
    lines = []
    for title, rows in _tables(found):
        heading, *others = (f"| {' | '.join(cells)} |" for cells in rows)
        rule = f"| --- |{' ---: |' * (len(rows[0]) - 1)}"
        lines += ["", f"## {title}", "", heading, rule, *others, "", _NOTES[title]]
    return lines


def _tables(found: dict[str, Any]) -> list[tuple[str, Rows]]:
    passing: Rows = [_passing_cells(row) for row in found["classes"] if row["all_good_pass"]]
    own: Rows = [_own_cells(row) for row in found["classes"] if row["recipes_limits"]]
    tables = []
    if passing:
        heading = ["class", "limit", "good to come", "escapes", "rate", "at most", "at most, PPM"]
        tables.append((_PASSING, [[*heading, "best F1", "its limit", "rejects", "misses"], *passing]))
    if own:
        heading = ["class", "review", "reject", "false rejects", "good not passed", "escapes", "not failed", "invalid"]
        tables.append((_OWN, [heading, *own]))
    return tables


def _passing_cells(row: dict[str, Any]) -> list[str]:
    found, best = row["all_good_pass"], row["all_good_pass"]["best_f1"]
    cells = [row["name"], f"{found['limit']:.4g}", percent(found["good_to_come_rejected_at_most"])]
    if (rate := found["escape_rate"]) is None:
        return [*cells, "unknown", *["-"] * 7]
    counted = [_counted(rate), percent(rate["share"]), percent(rate["at_most"]), ppm(rate["at_most"])[: -len(" PPM")]]
    others = [f"{best['f1']:.3f}", f"{best['limit']:.4g}", _counted(best["false_rejects"]), _counted(best["missed"])]
    return [*cells, *counted, *others]


def _own_cells(row: dict[str, Any]) -> list[str]:
    found = row["recipes_limits"]
    shares = [found[key] for key in ("false_rejects", "good_not_passed", "escape_rate", "not_failed")]
    words = ["unknown" if share is None else _proportion(share).words() for share in shares]
    limits = [f"{found[key]:.4g}" for key in ("review", "reject")]
    return [row["name"], *limits, *words, str(sum(found["invalid"].values()))]


def _proportion(share: dict[str, Any]) -> Proportion:
    return Proportion(share["count"], share["of"], share["confidence"])


def _counted(share: dict[str, Any]) -> str:
    return f"{share['count']} of {share['of']}"


def _padded(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """The name to the left, all others to the right."""
    return [cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(cells, widths))]
