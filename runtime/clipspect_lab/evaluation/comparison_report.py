"""A comparison as one document, and as a person reads it: in a terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from clipspect.base.files import atomic_file
from clipspect.base.plain_text import markdown_document, spreadsheet_row
from clipspect_lab.evaluation.compare import EvaluationComparison
from clipspect_lab.evaluation.comparison import Document, less
from clipspect_lab.evaluation.report import COLUMNS, mean_of, points_at_most, resolution_of
from clipspect_lab.evaluation.resampling import CONFIDENCE, SEED, intervals, mean_of_classes

_MOST_SHOWN = 10  # images that changed side, in a terminal


def comparison_document(found: EvaluationComparison) -> Document:
    """Everything, as `comparison.json` has it. Figures are 0 to 1; a difference is the other's less the one's."""
    classes = [
        {key: value for key, value in row.items() if key not in ("between", "resamples")} for row in found.classes
    ]
    means = {side: {key: mean_of([row[side][key] for row in classes]) for key in COLUMNS} for side in ("one", "other")}
    worst = [{"class": row["name"], **row["worst"]} for row in classes if row["worst"] is not None]
    return {
        "dataset": found.dataset,
        "layout": found.request.layout,
        "resolution": found.request.resolution,
        "one": found.sides[0],
        "other": found.sides[1],
        "intervals": _interval_words(found),
        "classes": classes,
        "mean": {
            **means,
            "difference": {key: less(means["other"][key], means["one"][key]) for key in COLUMNS},
            "interval": intervals(mean_of_classes(found.differences)),
        },
        "worst": max(worst, key=lambda row: float(row["largest"]), default=None),
    }


def _interval_words(found: EvaluationComparison) -> str:
    bins = max((row["bins"] for row in found.classes if row["bins"] is not None), default=None)
    words = (
        f"{CONFIDENCE} % intervals of {found.resamples} paired resamples of the images of each class, as many good and "
        f"as many defective ones as there are, seed {SEED}."
    )
    if bins is not None:
        words += (
            " Pixels are resampled by image, from histograms: a difference there is off by at most "
            f"{points_at_most(bins)} points; the papers' AUPRO keeps the thresholds of all images."
        )
    return words


def comparison_table(found: Document) -> str:
    """In a terminal's words, per cent."""
    one, other = found["one"], found["other"]
    width = max(9, *(len(row["name"]) for row in found["classes"]))
    lines = [f"A  {_side(one)}", f"B  {_side(other)}", ""]
    lines.append(f"{'mean':14}{'A':>8}{'B':>8}{'B - A':>8}   {CONFIDENCE} % interval")
    lines += [f"{COLUMNS[key]:14}{a:>8}{b:>8}{d:>8}   {i}" for key, a, b, d, i in _rows(found["mean"])]
    lines += ["", " ".join([f"{'B - A':{width}}", *(f"{heading:>13}" for heading in COLUMNS.values())])]
    for row in found["classes"]:
        cells = (f"{d}{'*' if _beyond(row['interval'][key]) else ''}" for key, _, _, d, _ in _rows(row))
        lines.append(" ".join([f"{row['name']:{width}}", *(f"{cell:>13}" for cell in cells)]))
    lines += ["", "Per cent; *: the interval leaves 0 out.", found["intervals"], ""]
    changed = [(row, image) for row in found["classes"] for image in row["changed"]]
    lines.append(f"{len(changed)} images changed side, at the limits where A's F1 is largest{':' if changed else '.'}")
    lines += [f"  {_changed_words(row, image)}" for row, image in changed[:_MOST_SHOWN]]
    if len(changed) > _MOST_SHOWN:
        lines.append(f"  and {len(changed) - _MOST_SHOWN} more: --json or --out DIR lists them")
    lines.append(_worst_words(found["worst"]))
    return "\n".join(lines)


def write_comparison(found: Document, folder: Path) -> None:
    """comparison.json, comparison.csv and comparison.md. Raises ClipspectError."""
    for name, text in (
        ("comparison.json", json.dumps(found, indent=2) + "\n"),
        ("comparison.csv", _csv(found)),
        ("comparison.md", comparison_markdown(found)),
    ):
        with atomic_file(folder / name) as file:
            file.write(text.encode(errors="backslashreplace"))


def comparison_markdown(found: Document) -> str:
    """`comparison.md`."""
    found = markdown_document(found)
    lines = [f"# A and B on {found['dataset']}", "", f"- A: {_side(found['one'])}", f"- B: {_side(found['other'])}", ""]
    lines += [f"Per cent. {resolution_of(found['resolution'])} {found['intervals']}"]
    for name, row in [("Mean over the classes", found["mean"]), *((row["name"], row) for row in found["classes"])]:
        lines += [
            "",
            f"## {name}",
            "",
            f"| | A | B | B - A | {CONFIDENCE} % interval |",
            "| --- | ---: | ---: | ---: | --- |",
        ]
        lines += [f"| {COLUMNS[key]} | {a} | {b} | {d} | {i} |" for key, a, b, d, i in _rows(row)]
        if row is not found["mean"]:
            lines += _class_words(row)
    return "\n".join([*lines, "", _worst_words(found["worst"])]) + "\n"


def _class_words(row: Document) -> list[str]:
    lines = ["", f"{len(row['changed'])} of {row['good'] + row['defective']} images changed side."]
    lines += [f"- {_changed_words(row, image)}" for image in row["changed"]]
    if (worst := row["worst"]) is not None:
        lines += ["", f"Maps differ most, by {worst['largest']:.3g} of their range, in {worst['image']}."]
        lines += ["", f"![{worst['image']}, A, B and their difference]({worst['picture']})"] if worst["picture"] else []
    return lines


def _changed_words(row: Document, image: Document) -> str:
    truth = "defective" if image["defective"] else "good"
    return f"{image['image']} ({truth}): {image['one']:.4g} to {image['other']:.4g}, limit {row['limit']:.4g}"


def _worst_words(worst: Document | None) -> str:
    if worst is None:
        return "Maps were not compared: a finished evaluation keeps none."
    picture = f", {worst['picture']}" if worst["picture"] else "; --out DIR shows it"
    return f"Maps differ most in {worst['image']}, by {worst['largest']:.3g} of their range{picture}."


def _rows(row: Document) -> list[tuple[str, str, str, str, str]]:
    """Key, A, B, B - A and the interval, in per cent, of the metrics that there are."""
    rows = []
    for key in COLUMNS:
        if row["difference"][key] is not None:
            low, high = row["interval"][key] or (None, None)
            interval = "-" if low is None or high is None else f"{100 * low:+.2f} to {100 * high:+.2f}"
            difference = f"{100 * row['difference'][key]:+.2f}"
            rows.append((key, f"{100 * row['one'][key]:.2f}", f"{100 * row['other'][key]:.2f}", difference, interval))
    return rows


def _beyond(interval: tuple[float, float] | None) -> bool:
    return interval is not None and (interval[0] > 0 or interval[1] < 0)


def _side(side: Document) -> str:
    known = [str(side[key]) for key in ("method", "bundle") if key in side and side[key] != side["name"]]
    shots = [f"{side['shots']} shots"] if side["shots"] else []
    return f"{side['name']} ({', '.join([*known, side['engine'], *shots])})"


def _csv(found: Document) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["class", "metric", "one", "other", "difference", "low", "high"])
    for name, row in [*((row["name"], row) for row in found["classes"]), ("mean", found["mean"])]:
        for key in COLUMNS:
            low, high = row["interval"][key] or ("", "")
            cells = [name, key, row["one"][key], row["other"][key], row["difference"][key], low, high]
            writer.writerow(spreadsheet_row(cells))
    return text.getvalue()
