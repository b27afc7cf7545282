"""What smoothing over time does on a drawn noisy belt: `PYTHONPATH=tests python benchmarks/smoothing.py PNG`.

Prints the table of docs/parts.md and draws its figure.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import clipspect
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.over_time import Smoothing, smoothed
from clipspect_lab.evaluation.metrics import auroc
from demo.belt import Belt, with_masks

PARTS = [False, True, False, True, True, False, False, True, False, True]
NOISY = {"noise": 40.0, "grain": 12.0, "apart": 240.0}
WEIGHTS = (1.0, 0.5, 0.3, 0.2)
SIDE = 60  # pixels a side that maps are compared in

Row = tuple[float, float, float]


def references() -> list[npt.NDArray[np.uint8]]:
    """Frames of good parts at several places, with the same noise, from another belt."""
    frames = [picture for picture, _ in with_masks(Belt([False] * 3, seed=9, **NOISY))]
    return frames[::8]


def measured(outcomes: Iterator[Outcome], masks: list[npt.NDArray[np.bool_]]) -> Row:
    """AUROC of pixels, AUROC of frames (a whole spot is seen or none), and the scatter of scores without one."""
    whole = max(int(mask.sum()) for mask in masks)
    scores, labels, values, pixels = [], [], [], []
    for outcome, mask in zip(outcomes, masks, strict=True):
        result = outcome.require()
        step = mask.shape[0] // SIDE
        values.append(result.anomaly_map[::step, ::step].ravel())
        pixels.append(mask[::step, ::step].ravel())
        if mask.sum() in (0, whole):
            scores.append(result.score)
            labels.append(bool(mask.any()))
    steps = np.abs(np.diff(np.array(scores)))
    both = np.array(labels[1:]) | np.array(labels[:-1])
    found = auroc(np.concatenate(pixels), np.concatenate(values)), auroc(labels, scores)
    return 100 * (found[0] or 0), 100 * (found[1] or 0), float(steps[~both].mean())


def main(target: Path) -> None:
    drawn = list(with_masks(Belt(PARTS, seed=3, **NOISY)))
    frames, masks = [frame for frame, _ in drawn], [mask for _, mask in drawn]
    recipe = clipspect.make_recipe("demo", "disc", references=references(), judge="photos", backend="onnxruntime")
    rows: dict[tuple[float, bool], Row] = {}
    with clipspect.load("demo", recipe, backend="onnxruntime", verdicts=False) as inspector:
        outcomes = list(inspector.stream(frames, keep_pictures=True))
    for weight in WEIGHTS:
        for motion in (True, False):
            rows[weight, motion] = measured(smoothed(outcomes, Smoothing(weight, motion)), masks)
            pixel, frame, flicker = rows[weight, motion]
            print(
                f"| {weight:g} | {'yes' if motion else 'no'} | {pixel:.1f} | {frame:.1f} | {flicker:.3f} |", flush=True
            )
    draw(target, frames, masks, outcomes)


def draw(target: Path, frames: list[Any], masks: list[npt.NDArray[np.bool_]], outcomes: list[Outcome]) -> None:
    """One frame, its own map, and the filtered ones."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sums = [int(mask.sum()) for mask in masks]
    at = [place for place, total in enumerate(sums) if total == max(sums)][12]
    maps = {"this frame alone": outcomes[at].require().anomaly_map}
    for motion, name in ((False, "filtered, not moved"), (True, "filtered, moved with the belt")):
        maps[name] = list(smoothed(outcomes[: at + 1], Smoothing(0.2, motion)))[at].require().anomaly_map
    figure, axes = pyplot.subplots(1, 1 + len(maps), figsize=(11, 2.2), layout="constrained")
    axes[0].imshow(frames[at])
    axes[0].contour(masks[at], [0.5], colors="red", linewidths=0.8)
    axes[0].set_title("frame, and its spot", fontsize=9)
    top = max(float(found.max()) for found in maps.values())
    for axis, (name, found) in zip(axes[1:], maps.items()):
        axis.imshow(found, vmin=0, vmax=top, cmap="inferno")
        axis.set_title(name, fontsize=9)
    for axis in axes:
        axis.set_axis_off()
    figure.savefig(target, dpi=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
