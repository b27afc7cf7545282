"""From the JSON files of a benchmark's folder to report.md and report.png: python report.py FOLDER.

Read are demo.json of `clipspect bench demo --json`, and methods.json of bench_methods.py; either may be missing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from clipspect.bundle.presets import read_preset

DATASET = "MVTec AD"
PEERS = ("contender", "median ms", "times as fast", "min to max ms", "cold start s", "peak MB", "what it is")
OWN = ("engine", "batch", "runs", "decode", "preprocess", "infer p50", "p95", "p99", "post", "map", "images/s")
OWN += ("of engine", "GFLOP/s", "of GEMM", "cold start s", "peak MB", "image AUROC", "pixel AUROC")

Document = dict[str, Any]


def read(path: Path) -> Document:
    """A JSON document, {} where there is none."""
    found: Document = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def markdown(demo: Document, methods: list[Document]) -> str:
    """The machine, the demo bundle, then each method beside its peer."""
    reports = [*([demo] if demo else []), *(extra["own"] for extra in methods if "own" in extra)]
    lines = ["# Measured", "", *(machine(reports[0]["machine"]) if reports else [])]
    if demo:
        lines += ["", f"## Demo bundle, {demo['gflop']:.1f} GFLOP an image", "", *own_rows(demo)]
    for extra in methods:
        lines += ["", f"## {extra['method']}, {extra['gflop']:.0f} GFLOP an image, {extra['threads']} threads", ""]
        lines += ["Seeded weights at full size, batch 1, one image of the model's size; contenders in turns.", ""]
        lines += peer_rows(extra["rows"])
        if "own" in extra:
            lines += ["", "Our engines alone:", "", *own_rows(extra["own"])]
    return "\n".join([*lines, ""])


def machine(found: Document) -> list[str]:
    """Device, clocks, power mode, versions."""
    power, cpu = found["power"], found["cpu"]
    clocks = [f"{power['mhz']:.0f} MHz before the runs"] if power["mhz"] else []
    clocks += [f"governor {power['governor'] or 'unknown'}", f"power mode {power['mode'] or 'unknown'}"]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return [
        f"{found['device'] or 'Unknown device'}: {cpu['model']}, {cpu['cores']} cores, {', '.join(cpu['features'])}.",
        f"{', '.join(clocks)}; load before the runs {power['load']}. {found['platform']}, Python {found['python']}, "
        f"{versions}.",
    ]


def own_rows(report: Document) -> list[str]:
    """A line for each engine and precision, and where the time goes of those below the share they aim at."""
    lines = [f"Frames of {report['width']} x {report['height']}, JPEG; milliseconds an image.", "", *table_head(OWN)]
    for row in report["rows"]:
        stages, accuracy = row["stages"], row["accuracy"] or {}
        values: list[object] = [f"{row['backend']} {row['precision']}", row["batch"], row["runs"]]
        values += [shown(stages[name]["p50"]) for name in ("decode", "preprocess", "infer")]
        values += [shown(stages["infer"]["p95"]), shown(stages["infer"]["p99"])]
        values += [shown(stages["post"]["p50"]), shown(stages["map"]["p50"]), shown(row["images_per_second"], 2)]
        values += [percent(row["stream_share"]), shown(row["gflops"], 0), percent(row["gemm_share"])]
        values += [shown(row["cold_start_s"]), shown(row["peak_memory_bytes"] and row["peak_memory_bytes"] / 1e6, 0)]
        values += [shown(accuracy.get("image_auroc"), 4), shown(accuracy.get("pixel_auroc"), 4)]
        lines.append(f"| {' | '.join(map(str, values))} |")
    for row in report["rows"]:
        if row["profile"]:
            parts = ", ".join(f"{name} {share:.1%}" for name, share in row["profile"].items())
            aim = f"aims at {row['gemm_target']:.0%} of GEMM"
            lines += ["", f"{row['backend']} {row['precision']} {aim} and spends its time in: {parts}."]
    return lines


def peer_rows(rows: list[Document]) -> list[str]:
    lines = table_head(PEERS)
    for row in rows:
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
    return lines


def table_head(columns: tuple[str, ...]) -> list[str]:
    return [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]


def shown(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def plot(demo: Document, methods: list[Document], path: Path) -> None:
    """Time against accuracy: of the demo bundle both measured here, of the methods the published accuracy."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.5), constrained_layout=True)
    for row in demo.get("rows", []):
        if row["accuracy"]:
            name = f"{row['backend']} {row['precision']}"
            left.scatter(row["stages"]["total"]["p50"], 100 * row["accuracy"]["pixel_auroc"], label=name)
    left.set_xlabel("median milliseconds an image, decoding and all")
    left.set_ylabel("pixel AUROC of the demo bundle, its shipped pictures")
    plot_methods(right, methods)
    for axes in (left, right):
        axes.margins(0.25, 0.2)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="center right", fontsize=8)
    figure.savefig(path, dpi=120)


def plot_methods(axes: Any, methods: list[Document]) -> None:
    colours: dict[str, str] = {}  # by contender
    for extra in methods:
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


def main(folder: str) -> None:
    root = Path(folder)
    demo = read(root / "demo.json")
    extras = [bench["extra_info"] for bench in read(root / "methods.json").get("benchmarks", [])]
    methods = [extra for extra in extras if "rows" in extra]
    (root / "report.md").write_text(markdown(demo, methods), encoding="utf-8")
    plot(demo, methods, root / "report.png")
    print(markdown(demo, methods))


if __name__ == "__main__":
    main(*sys.argv[1:])
