"""What windows on demand save and cost, on the demo model: regions of interest in time, the cascade in AUPRO.

`python benchmarks/windows_on_demand.py` rewrites the parts of docs/cost-of-speed.md between the marks. The cascade's
limits are chosen on good pictures of one seed and measured on all pictures of another.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from clipspect.bundle.bundle import Bundle
from clipspect.bundle.precision import open_graph
from clipspect.engines.graph import ANOMALY_MAP, IMAGE, SCORE
from clipspect.frame.region_of_interest import Area, RegionOfInterest
from clipspect.frame.views import Box
from clipspect.inspection.cascade import cascaded, lowest_limit
from clipspect.inspection.window_layout import Chosen
from clipspect.inspection.window_scores import Embedded
from clipspect.inspection.window_use import judged_patches
from clipspect.inspection.windows import WindowsEngine, every_window
from clipspect.recipes.on_demand import Cascade
from clipspect.recipes.shelf import open_recipe
from clipspect_lab.demo.figures import PictureFigures, figures_by_family, mean_of_families
from demo.held_out import FIGURES_SEED, held_out_pairs

CHOOSING_SEED = FIGURES_SEED + 1
WORKS = (0.9, 0.7, 0.6, 0.5, 0.45, 0.4, 0.36)  # asked of good pictures; below is what the first step alone takes
FIRST_STEP = 1e9  # as a limit: nothing is over it
STRIDE = 2
ENGINES = ("onnxruntime", "openvino")
PARTS = ("regions", "cascade")
SIDE = 240
REGIONS = {  # left, top, right, bottom
    "a square of 10 % in the middle": (82, 82, 158, 158),
    "a square of 10 % in a corner": (0, 0, 76, 76),
    "a square of 25 % in the middle": (60, 60, 180, 180),
    "the left half": (0, 0, 120, 240),
    "everything": (0, 0, 240, 240),
}

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Picture:
    family: str
    pixels: Pixels  # (1, H, W, 3)
    mask: npt.NDArray[np.bool_]
    embedded: Embedded  # of all windows


def pictures(engine: WindowsEngine, seed: int, each: int, *, good_alone: bool = False) -> list[Picture]:
    """A good and a defective one of every family and kind, `each` times; every window encoded once."""
    made = []
    for pair in tqdm(list(held_out_pairs(seed, each)), unit="pair", leave=False):
        for pixels, mask in ((pair.good, np.zeros_like(pair.mask)), (pair.bad, pair.mask))[: 1 if good_alone else 2]:
            image = np.ascontiguousarray(pixels)[None]
            made.append(Picture(pair.family, image, mask > 0, engine.encode(image, engine.layout.all(1))))
    return made


def remembered(embedded: Embedded, engine: WindowsEngine) -> Callable[..., Embedded]:
    """An encoder that answers from what was encoded."""

    def encode(pixels: Pixels, chosen: Chosen, *, patches: bool = False) -> Embedded:
        windows = [rows * own[..., None] for rows, own in zip(embedded.windows, chosen)]
        return replace(embedded, windows=windows, there=chosen, work=engine.layout.share(chosen))

    return encode


def with_limit(engine: WindowsEngine, picture: Picture, tensors: Any, limit: float) -> Embedded:
    encode = remembered(picture.embedded, engine)
    every = engine.layout.all(1)
    return cascaded(engine, encode, picture.pixels, every, tensors, Cascade(limit, STRIDE), None, patches=False)


def curve(engine: WindowsEngine, tensors: Any, each: int, choosing: int) -> list[str]:
    """A row for each share of the work."""
    chosen_on = pictures(engine, CHOOSING_SEED, choosing, good_alone=True)
    coarse = [engine.scored(with_limit(engine, one, tensors, FIRST_STEP), tensors).patches[0] for one in chosen_on]
    values = [patches.astype(np.float32) for patches in coarse]
    limits = [(f"{work:.0%}", lowest_limit(engine.layout, values, STRIDE, work)) for work in WORKS]
    measured = pictures(engine, FIGURES_SEED, each)
    exact = [engine.answer(one.embedded, tensors, [SCORE, ANOMALY_MAP]) for one in measured]
    base = figures(measured, [one[ANOMALY_MAP][0] for one in exact])
    rows = [row("all windows", None, measured, [1.0] * len(measured), base, base)]
    timed = measured[:: max(len(measured) // 8, 1)]
    for name, limit in [*limits, ("the first step alone", FIRST_STEP)]:
        found = [with_limit(engine, one, tensors, limit) for one in measured]
        maps = [engine.answer(own, tensors, [ANOMALY_MAP])[ANOMALY_MAP][0] for own in found]
        works = [float(own.work[0]) for own in found]
        took = time_of(engine, timed, tensors, limit)
        rows.append(row(name, limit, measured, works, figures(measured, maps), base, took))
    return rows


def figures(measured: Sequence[Picture], maps: Sequence[npt.NDArray[np.float32]]) -> PictureFigures:
    scores = [float(values.max()) for values in maps]  # of the map; the method's score reads no window
    masks, families = [one.mask for one in measured], [one.family for one in measured]
    return mean_of_families(figures_by_family(scores, maps, masks, families))


def row(
    name: str,
    limit: float | None,
    measured: Sequence[Picture],
    works: Sequence[float],
    found: PictureFigures,
    base: PictureFigures,
    took: float = 1.0,
) -> str:
    good = [work for one, work in zip(measured, works) if not one.mask.any()]
    bad = [work for one, work in zip(measured, works) if one.mask.any()]
    aupro, pixel, known = (value or 0.0 for value in (found.aupro_exact, found.pixel_auroc, base.aupro_exact))
    shown = "-" if limit is None or limit == FIRST_STEP else f"{limit:.3f}"
    cells = [name, shown, f"{np.mean(good):.2f}", f"{np.mean(bad):.2f}", f"{took:.2f}"]
    cells += [f"{pixel * 100:.1f}", f"{aupro * 100:.1f}", f"{(aupro - known) * 100:+.1f}"]
    return f"| {' | '.join(cells)} |"


def time_of(engine: WindowsEngine, timed: Sequence[Picture], tensors: Any, limit: float, rounds: int = 3) -> float:
    """Of these pictures, against all windows in turns: the median of the ratios."""
    ratios = []
    for number in range(rounds):
        for one in timed:
            took = []
            for cascade in (None, Cascade(limit, STRIDE)):
                start = perf_counter()
                every = engine.layout.all(1)
                if cascade is None:
                    engine.scored(engine.encode(one.pixels, every), tensors)
                else:
                    found = cascaded(engine, engine.encode, one.pixels, every, tensors, cascade, None, patches=False)
                    engine.scored(found, tensors)
                took.append(perf_counter() - start)
            if number:  # the first is a warm-up
                ratios.append(took[1] / took[0])
    return statistics.median(ratios)


def regions(bundle: Bundle, tensors: Any, rounds: int) -> list[str]:
    """A row for each region: its work, and its time against the static graph in both engines."""
    graph, words, image = bundle.manifest.windows, bundle.manifest.graphs["words"], bundle.manifest.image
    assert graph is not None
    pixels = next(iter(held_out_pairs(FIGURES_SEED, 1))).good[None]
    took: dict[tuple[str, str], list[float]] = {}
    share: dict[str, float] = {}
    for name in ENGINES:
        probe = {IMAGE: pixels, **every_window(graph, image)}
        with (
            open_graph(bundle, graph, name, probe=probe) as backend,
            open_graph(bundle, words, name, probe={IMAGE: pixels, **tensors}) as static,
        ):
            engine = WindowsEngine(backend, graph, image)
            wanted = {region: chosen_of(engine, *box) for region, box in REGIONS.items()}
            for number in tqdm(range(rounds + 1), desc=name, leave=False):
                start = perf_counter()
                static.run({IMAGE: pixels, **tensors})
                base = perf_counter() - start
                for region, (needed, chosen) in wanted.items():
                    start = perf_counter()
                    found = engine.encode(pixels, chosen)
                    engine.answer(replace(found, needed=needed), tensors, [SCORE, ANOMALY_MAP])
                    share[region] = float(found.work[0])
                    if number:
                        took.setdefault((region, name), []).append((perf_counter() - start) / base)
    return [
        f"| {region} | {share[region]:.2f} | "
        + " | ".join(f"{statistics.median(took[region, name]):.2f}" for name in ENGINES)
        + " |"
        for region in REGIONS
    ]


def chosen_of(engine: WindowsEngine, left: int, top: int, right: int, bottom: int) -> Any:
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    region = RegionOfInterest((SIDE, SIDE), Area(polygons=(corners,)))
    needed = judged_patches(region, engine.layout, SIDE, SIDE, Box(0, 0, SIDE, SIDE))
    return needed, engine.layout.covering(needed)


def write(path: Path, part: str, lines: Sequence[str]) -> None:
    """Between the marks of a part."""
    begin, end = (f"<!-- windows, {part}: {place} -->" for place in ("begin", "end"))
    before, rest = path.read_text().split(begin)
    path.write_text("\n".join([before + begin, "", *lines, "", end]) + rest.split(end)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", metavar="PART", nargs="*", choices=[*PARTS, []], help=f"{', '.join(PARTS)}; all")
    parser.add_argument("--out", type=Path, default=Path("docs/cost-of-speed.md"))
    parser.add_argument("--each", type=int, default=10, help="pairs of every family and kind that are measured")
    parser.add_argument("--choosing", type=int, default=3, help="good pictures of every family and kind for the limits")
    parser.add_argument("--rounds", type=int, default=15, help="of taking a region's time")
    args = parser.parse_args()
    bundle = Bundle.open("demo")
    graph, tensors = bundle.manifest.windows, open_recipe(bundle).tensors
    assert graph is not None
    if "regions" in (args.parts or PARTS):
        head = ["| region of interest | work | onnxruntime | openvino |", "| --- | ---: | ---: | ---: |"]
        foot = (
            "Work is the share of all windows' tokens; then the time against the static graph, score and map included, "
            f"medians of {args.rounds} rounds in turns."
        )
        write(args.out, "regions", [*head, *regions(bundle, tensors, args.rounds), "", foot])
    if "cascade" in (args.parts or PARTS):
        with open_graph(bundle, graph, "openvino", probe=None) as backend:
            rows = curve(WindowsEngine(backend, graph, bundle.manifest.image), tensors, args.each, args.choosing)
        head = [
            "| asked of good pictures | limit | work, good | work, defective | time | pixel AUROC | AUPRO exact | |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        foot = (
            f"Limits of {18 * args.choosing} good pictures (seed {CHOOSING_SEED}); figures of {36 * args.each} others "
            f"(seed {FIGURES_SEED}), half of them defective. Time is OpenVINO's for a mix of them against all windows, "
            "the median of ratios in turns."
        )
        write(args.out, "cascade", [*head, *rows, "", foot])


if __name__ == "__main__":
    main()
