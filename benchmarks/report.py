"""From the JSON file of `bench_methods.py` to a Markdown table and a plot: python report.py JSON FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from clipspect.presets import read_preset

DATASET = "MVTec AD"
COLUMNS = ("contender", "median ms", "times as fast", "min to max ms", "cold start s", "peak MB", "what it is")


def markdown(document: dict[str, Any]) -> str:
    """One table a method, its peer first."""
    machine = document["machine_info"]
    lines = [f"# Measured on {machine['cpu'].get('brand_raw', machine['processor'])}, {document['datetime'][:10]}", ""]
    lines += ["Seeded weights at full size, batch 1, one image of the model's size; contenders in turns; medians.", ""]
    for bench in document["benchmarks"]:
        extra = bench["extra_info"]
        lines += [f"## {extra['method']}, {extra['gflop']:.0f} GFLOP an image, {extra['threads']} threads", ""]
        lines += [f"| {' | '.join(COLUMNS)} |", "|" + " --- |" * len(COLUMNS)]
        for row in extra["rows"]:
            values = (
                row["name"],
                f"{row['p50_ms']:.0f}",
                f"{row['times_as_fast']:.2f}",
                f"{row['min_ms']:.0f} to {row['max_ms']:.0f} ({row['runs']} runs)",
                f"{row['cold_start_s']:.1f}",
                f"{row['peak_mb']:.0f}",
                row["about"],
            )
            lines.append(f"| {' | '.join(values)} |")
        lines.append("")
    return "\n".join(lines)


def plot(document: dict[str, Any], path: Path) -> None:
    """Published image AUROC against the median time measured here."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), constrained_layout=True)
    colours: dict[str, str] = {}  # by contender
    for bench in document["benchmarks"]:
        extra = bench["extra_info"]
        published = read_preset(extra["method"]).published.find(DATASET, shots=0)
        if published is None:
            continue
        accuracy = published.image.auroc
        seconds = [row["p50_ms"] / 1e3 for row in extra["rows"]]
        axes.plot(seconds, [accuracy] * len(seconds), color="0.8", zorder=1)
        for row, time in zip(extra["rows"], seconds):
            label = None if row["name"] in colours else row["name"]
            colour = colours.setdefault(row["name"], f"C{len(colours)}")
            axes.scatter(time, accuracy, color=colour, label=label, zorder=2)
        axes.annotate(extra["method"], (min(seconds), accuracy), (-8, -3), textcoords="offset points", ha="right")
    axes.set_xscale("log")
    ticks = [0.5, 1, 2, 4, 8]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("median seconds an image, measured here (2 threads)")
    axes.set_ylabel(f"published image AUROC, {DATASET}, zero-shot")
    axes.margins(0.25, 0.2)
    axes.legend(loc="center right", fontsize=8)
    figure.savefig(path, dpi=120)


def main(source: str, folder: str) -> None:
    document = json.loads(Path(source).read_text(encoding="utf-8"))
    document["benchmarks"] = [bench for bench in document["benchmarks"] if "rows" in bench["extra_info"]]
    out = Path(folder)
    (out / "methods.md").write_text(markdown(document), encoding="utf-8")
    plot(document, out / "methods.png")
    print(markdown(document))


if __name__ == "__main__":
    main(*sys.argv[1:])
