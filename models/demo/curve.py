"""The learning curve from the logs of the rounds: `python -m demo.curve WORK FILE`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

FIGURES = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "aupro": "AUPRO"}
LOSSES = ("image", "windows", "patches")


def read_logs(work: Path) -> list[dict[str, Any]]:
    """The lines of every round's log in order, with `all_steps` counted through the rounds that have one.

    A step that an interrupted training took twice counts once, as it was taken last.
    """
    lines: list[dict[str, Any]] = []
    before = 0
    for log in sorted(work.glob("round-*.jsonl")):
        own = {line["step"]: line for line in map(json.loads, log.read_text().splitlines())}
        lines += [{**line, "all_steps": before + step} for step, line in sorted(own.items())]
        before += max(own)
    return lines


def plot(lines: list[dict[str, Any]], path: Path) -> None:
    """The figures on validation pictures, and the losses of training, by step."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, figsize=(9, 6.5), sharex=True, height_ratios=(3, 2))
    points = [line for line in lines if "validation" in line]
    for name, label in FIGURES.items():
        values = [line["validation"][name] for line in points]
        above.plot([line["all_steps"] for line in points], values, "o-", markersize=4, label=label)
    above.set_ylabel("new pictures of trained\nfamilies and kinds")
    trained = [line for line in lines if "windows" in line]
    for name in LOSSES:
        below.plot([line["all_steps"] for line in trained], [line[name] for line in trained], label=name)
    below.set_ylabel("cross entropy in training")
    below.set_ylim(bottom=0)
    rounds = dict.fromkeys(line["round"] for line in lines)
    below.set_xlabel("step" if len(rounds) > 1 else f"step of round {next(iter(rounds))}")
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.suptitle("The demo model's training")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="the folder of round-1.jsonl and so on")
    parser.add_argument("picture", type=Path)
    args = parser.parse_args()
    lines = read_logs(args.work)
    if not lines:
        parser.error(f"{args.work}: no round-*.jsonl there; demo.train writes them")
    plot(lines, args.picture)


if __name__ == "__main__":
    main()
