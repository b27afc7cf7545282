"""The document of an evaluation as a person reads it: in a terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from clipspect.base.files import atomic_file
from clipspect.base.plain_text import markdown_document, spreadsheet_row
from clipspect_lab.evaluation.report import COLUMNS, NamedFigures
from clipspect_lab.evaluation.verdict_tables import verdict_lines, verdict_markdown


def write(found: dict[str, Any], folder: Path) -> None:
    """results.json, results.csv and results.md of a `document`. Raises ClipspectError."""
    for name, text in (
        ("results.json", json.dumps(found, indent=2) + "\n"),
        ("results.csv", _csv(found)),
        ("results.md", markdown(found)),
    ):
        with atomic_file(folder / name) as file:
            file.write(text.encode(errors="backslashreplace"))


def table(found: dict[str, Any]) -> str:
    """The document in a terminal's width and words, figures in per cent."""
    headings = [heading.split() for heading in COLUMNS.values()]
    name_width = max(10, *(len(row["name"]) for row in found["classes"]))
    lines = [
        " ".join([f"{'':{name_width}} {'':>5}", *(f"{first:>7}" for first, _ in headings)]),
        " ".join([f"{'class':{name_width}} {'n':>5}", *(f"{last:>7}" for _, last in headings)]),
    ]
    for row in found["classes"]:
        count = row["good"] + row["defective"]
        lines.append(" ".join([f"{row['name']:{name_width}} {count:5d}", *_cells(row["figures"], 7)]))
    lines += ["-" * len(lines[0]), " ".join([f"{'mean':{name_width}} {'':5}", *_cells(found["mean"], 7)])]
    for row in found["published"]:
        lines.append(" ".join([f"{'published':{name_width}} {'':5}", *_cells(row["published"], 7), row["source"]]))
        lines.append(" ".join([f"{'difference':{name_width}} {'':5}", *_cells(row["difference"], 7, "+")]))
    lines += ["", f"Per cent. {found['resolution']}", found["aupro"], *found["notes"], *verdict_lines(found)]
    return "\n".join(lines)


def markdown(found: dict[str, Any]) -> str:
    """`results.md`."""
    found = markdown_document(found)
    shots = f"{found['shots']} shots, seed {found['seed']}" if found["shots"] else "zero-shot"
    lines = [
        f"# {found['method']} on {found['dataset']}",
        "",
        f"{found['bundle']}: {found['method']}, {found['backbone']}, {found['precision']}, encoder "
        f"{found['encoder_sha256'][:12]}; {found['engine']}; {shots}. {found['resolution']}",
        "",
        f"Per cent. {found['aupro']}",
        "",
        *_row("class", "good", "defective", *COLUMNS.values()),
        *_row("---", *["---:"] * (len(COLUMNS) + 2)),
    ]
    for row in found["classes"]:
        lines += _row(row["name"], row["good"], row["defective"], *_cells(row["figures"]))
    lines += _row("**mean**", *(sum(row[key] for row in found["classes"]) for key in ("good", "defective")),
                  *_cells(found["mean"]))  # fmt: skip
    lines += verdict_markdown(found)
    if found["published"]:
        lines += ["", "## Published", "", *_row("source", *COLUMNS.values()), *_row(*["---"] * (len(COLUMNS) + 1))]
        for row in found["published"]:
            lines += _row(f"{row['source']}: {row['backbone']}, {row['side']} pixels", *_cells(row["published"]))
            lines += _row("ours less that", *_cells(row["difference"], sign="+"))
    lines += ["", "## Recipes", ""]
    for row in found["classes"]:
        words = f"recipe {row['recipe']}" if row["recipe"] is not None else f"made of the name {row['object']!r}"
        references = f"; references: {', '.join(row['references'])}" if row["references"] else ""
        lines.append(f"- {row['name']}: {words}{references}")
    if found["notes"]:
        lines += ["", "## Notes", "", *(f"- {note}" for note in found["notes"])]
    return "\n".join(lines) + "\n"


def _csv(found: dict[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["class", "object", "good", "defective", *COLUMNS])
    for row in found["classes"]:
        figures = [row["figures"][key] for key in COLUMNS]
        writer.writerow(spreadsheet_row([row["name"], row["object"], row["good"], row["defective"], *figures]))
    writer.writerow(["mean", "", "", "", *(found["mean"][key] for key in COLUMNS)])
    for row in found["published"]:
        for name, figures in (("published", row["published"]), ("mean less published", row["difference"])):
            writer.writerow([name, row["source"], "", "", *(figures[key] for key in COLUMNS)])
    return text.getvalue()


def _cells(figures: NamedFigures, width: int = 0, sign: str = "") -> list[str]:
    """Per cent with one digit, as the field writes it."""
    values = [figures[key] for key in COLUMNS]
    return [f"{'-' if value is None else format(100 * value, f'{sign}.1f'):>{width}}" for value in values]


def _row(*cells: object) -> list[str]:
    return [f"| {' | '.join(map(str, cells))} |"]
