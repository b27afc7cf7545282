"""The report on the cost of speed: tables between two marks of docs/cost-of-speed.md, and the plot beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cost_variants import DEFAULT, FAMILIES, PRODUCTS, TEXTILES, VARIANTS, Variant
from tqdm import tqdm

from clipspect.base.errors import ClipspectError
from clipspect_lab.evaluation.compared import ComparedEvaluation, ComparedInput, FinishedEvaluation, require_same_images
from clipspect_lab.evaluation.resampling import SEED, differences, intervals, mean_of_classes

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
RESAMPLES = 300
SHOWN = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "pixel_aupro_exact": "AUPRO exact"}
ALL = {**SHOWN, "pixel_aupro_papers": "AUPRO papers"}
TITLES = {
    FAMILIES: "Held-out families: every picture another draw",
    PRODUCTS: "Held-out products: one part a family, seen again and again",
    TEXTILES[0]: "Simulated textiles, local defects",
    TEXTILES[1]: "Simulated textiles, global defects",
}

Interval = tuple[float, float]


@dataclass(frozen=True)
class VariantRow:
    """A variant on a data set; figures and differences from the default, 0 to 1."""

    variant: Variant
    figures: dict[str, float | None]
    difference: dict[str, float | None]
    interval: dict[str, Interval | None]
    classes: list[dict[str, Any]]  # as results.json has them


def write_report(folder: Path, out: Path, encoder: str) -> None:
    """docs/cost-of-speed.md and .png of what has been measured so far."""
    tables = {name: _rows(folder, name) for name in tqdm(TITLES, desc="resampling", unit="data set")}
    times = _json(folder / "times.json")
    missing = _json(folder / "missing.json")
    lines = _measured(tables, times, missing, encoder)
    page = out / "cost-of-speed.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    text = page.read_text() if page.is_file() else f"# What speed costs\n\n{BEGIN}\n{END}\n"
    head, _, rest = text.partition(BEGIN)
    page.write_text("\n".join([f"{head}{BEGIN}", "", *lines, f"{END}{rest.partition(END)[2]}"]))
    if times and tables[FAMILIES]:
        plot(tables[FAMILIES], times["rows"], out / "cost-of-speed.png")


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def _rows(folder: Path, name: str) -> list[VariantRow]:
    base = folder / name / DEFAULT.slug
    return [
        _row(variant, folder / name / variant.slug, base)
        for variant in tqdm(VARIANTS, desc=name, unit="variant", leave=False)
        if name in variant.sets
        and (folder / name / variant.slug / "results.json").is_file()
        and (base / "results.json").is_file()
    ]


def _row(variant: Variant, path: Path, base: Path) -> VariantRow:
    found = _json(path / "results.json")
    figures, classes, before = found["mean"], found["classes"], _json(base / "results.json")["mean"]
    none: dict[str, Any] = dict.fromkeys(SHOWN)
    if path == base:
        return VariantRow(variant, figures, none, none, classes)
    kept = path / "difference.json"
    if not kept.is_file():
        kept.write_text(json.dumps(_difference(path, base)) + "\n")
    interval = _json(kept)["interval"]
    if interval is None:
        return VariantRow(variant, figures, none, none, classes)
    return VariantRow(variant, figures, {key: _less(figures[key], before[key]) for key in SHOWN}, interval, classes)


def _difference(path: Path, base: Path) -> dict[str, Any]:
    """The intervals of an evaluation's differences from the default's; None where the images are not the same."""
    one, other = (
        ComparedEvaluation(ComparedInput(where.name, FinishedEvaluation(where)), where, ()) for where in (base, path)
    )
    resampled = []
    try:
        for name in one.names:
            answers, others = one.answers(name)[1], other.answers(name)[1]
            require_same_images(name, answers, others)
            resampled.append(differences(answers, others, name, resamples=RESAMPLES).values)
    except ClipspectError:  # references were drawn from the test images: other images, no difference to state
        return {"interval": None}
    return {"interval": intervals(mean_of_classes(resampled))}


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _measured(
    tables: dict[str, list[VariantRow]], times: dict[str, Any], missing: dict[str, str], encoder: str
) -> list[str]:
    lines = [
        f"Demo model, encoder {encoder[:12]}. Per cent; in brackets the difference from the default and its 95 % "
        f"interval, of {RESAMPLES} paired resamples of the images (seed {SEED}). Time: the engine's milliseconds for "
        "one picture of 240 x 240, and the median of the ratios to the default, all variants taking turns"
        + (f" for {times['rounds']} rounds." if times else "; not taken yet."),
        "",
    ]
    for name, rows in tables.items():
        if rows:
            lines += [f"### {TITLES[name]}", "", *_table(rows, times.get("rows", {})), ""]
    lines += _one_by_one(tables)
    if missing:
        lines += ["Not measured:", "", *(f"- {name}: {reason}" for name, reason in missing.items()), ""]
    return lines


def _one_by_one(tables: dict[str, list[VariantRow]]) -> list[str]:
    """The classes of the default, and of products with references: where a mean hides one."""
    lines = []
    for name, shots in ((FAMILIES, (0,)), (PRODUCTS, (0, 1, 4))):
        rows = [
            row for row in tables[name] if row.variant == DEFAULT or (row.variant.shots and not row.variant.options)
        ]
        chosen = {row.variant.shots: row for row in rows if row.variant.shots in shots}
        if 0 in chosen:
            heads = [f"{'zero-shot' if not k else f'{k}-shot'} {title}" for k in chosen for title in ALL.values()]
            lines += [f"### {TITLES[name]}, one by one", "", f"| family | {' | '.join(heads)} |"]
            lines += [f"| --- |{' ---: |' * len(heads)}"]
            for number, item in enumerate(chosen[0].classes):
                cells = [_figure(row.classes[number]["figures"][key]) for row in chosen.values() for key in ALL]
                lines.append(f"| {item['name']} | {' | '.join(cells)} |")
            cells = [_figure(row.figures[key]) for row in chosen.values() for key in ALL]
            lines += [f"| **mean** | {' | '.join(cells)} |", ""]
    return lines


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _table(rows: list[VariantRow], times: dict[str, dict[str, float]]) -> list[str]:
    shown = [key for key in SHOWN if rows[0].figures[key] is not None]
    heads = ["variant", *(SHOWN[key] for key in shown), "ms", "time", "GFLOP"]
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' --- |' * len(shown)} ---: | ---: | ---: |"]
    for row in rows:
        took = times.get(row.variant.name) if not row.variant.emulated else None
        taken = [f"{took['median_ms']:.0f}", f"{took['ratio']:.2f}", f"{took['gflop']:.1f}"] if took else ["-"] * 3
        lines.append(f"| {' | '.join([row.variant.name, *(_cell(row, key) for key in shown), *taken])} |")
    return lines


def _cell(row: VariantRow, key: str) -> str:
    value, difference, interval = row.figures[key], row.difference[key], row.interval[key]
    if value is None:
        return "-"
    if difference is None or interval is None:
        return f"{100 * value:.1f}"
    return f"{100 * value:.1f} ({100 * difference:+.1f}: {100 * interval[0]:+.1f} to {100 * interval[1]:+.1f})"


def plot(rows: list[VariantRow], times: dict[str, dict[str, float]], path: Path) -> None:
    """Accuracy against time, a panel a figure; whiskers are the intervals of the differences from the default."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    timed = [row for row in rows if row.variant.name in times and not row.variant.emulated]
    figure, panels = pyplot.subplots(1, len(SHOWN), figsize=(15, 5), constrained_layout=True, sharex=True)
    for axes, (key, title) in zip(panels, SHOWN.items()):
        base = next(row.figures[key] for row in rows if row.variant == DEFAULT) or 0.0
        axes.axhline(100 * base, color="0.85", zorder=0)
        for number, row in enumerate(timed):
            value = 100 * (row.figures[key] or np.nan)
            interval = row.interval[key]
            whiskers = (
                [[value - 100 * (base + interval[0])], [100 * (base + interval[1]) - value]] if interval else None
            )
            marker = "osD^vP*X"[number // 10 % 8]
            axes.errorbar(
                times[row.variant.name]["ratio"], value, whiskers,
                fmt=marker, color=f"C{number % 10}", label=row.variant.name, capsize=2, elinewidth=0.8, markersize=6,
            )  # fmt: skip
        axes.set_title(f"{title}, per cent")
        axes.set_xscale("log")
        ticks = [0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 2.8]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("time of an image, as a share of the default's")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=9)
    figure.suptitle("What speed costs on the demo model's held-out families")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
