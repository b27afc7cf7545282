"""Pictures of families and defect kinds that training never saw, drawn from fixed seeds.

`python -m demo.held_out` draws many and prints what a bundle makes of them; `demo.build` writes the few that ship.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

import clipspect
from clipspect_lab.demo.figures import PictureFigures, figures_by_family, mean_of_families
from demo import defects, surfaces
from demo.batches import IMAGE
from demo.pool import Pair, draw_pair

SHIPPED_SEED, FIGURES_SEED = 2026, 4052
JPEG_QUALITY = 85


def held_out_pairs(seed: int, each: int) -> Iterator[Pair]:
    """`each` pairs of every held-out family and defect kind, cropped to the model's size."""
    for f, (family, draw) in enumerate(surfaces.HELD_OUT.items()):
        for d, (kind, damage) in enumerate(defects.HELD_OUT.items()):
            rng = np.random.default_rng([seed, f, d])
            for _ in range(each):
                yield draw_pair(rng, {family: draw}, {kind: damage}, surfaces.HELD_OUT).centre(IMAGE)


def write_images(folder: Path) -> None:
    """The shipped pictures: a good and a damaged one of every family and kind, masks, and index.json."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    index: list[dict[str, str | None]] = []
    for pair in held_out_pairs(SHIPPED_SEED, 1):
        stem = f"{pair.family}-{pair.defect}"
        mask = f"{stem}-mask.png"
        Image.fromarray(pair.mask).save(folder / mask, optimize=True)
        for name, image, defect in ((f"{stem}-good.jpg", pair.good, None), (f"{stem}.jpg", pair.bad, pair.defect)):
            Image.fromarray(image).save(folder / name, quality=JPEG_QUALITY, subsampling=0, optimize=True)
            index.append({"file": name, "mask": mask if defect else None, "family": pair.family, "defect": defect})
    (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n")


def figures(bundle: str, each: int, recipe: str | None = None) -> list[PictureFigures]:
    """The figures of a bundle on drawn held-out pictures: by family, by kind of defect, and the families' mean.

    As the field does it, a figure is made per family over its good and damaged pictures, then averaged.
    """
    scores: list[float] = []
    maps: list[npt.NDArray[np.float32]] = []
    masks, families, kinds = [], [], []
    total = 2 * each * len(surfaces.HELD_OUT) * len(defects.HELD_OUT)
    with clipspect.load(bundle, recipe=recipe) as inspector, tqdm(total=total, unit="image") as bar:
        for pair in held_out_pairs(FIGURES_SEED, each):
            for image, mask in ((pair.good, np.zeros_like(pair.mask)), (pair.bad, pair.mask)):
                result = inspector.inspect(image)
                scores.append(result.score)
                maps.append(result.anomaly_map)
                masks.append(mask > 0)
                families.append(pair.family)
                kinds.append(pair.defect)
                bar.update()
    rows = figures_by_family(scores, maps, masks, families)
    return [*rows, *figures_by_family(scores, maps, masks, kinds), mean_of_families(rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="demo")
    parser.add_argument("--each", type=int, default=10, help="pairs of every family and kind")
    args = parser.parse_args()
    for row in figures(args.bundle, args.each):
        print("  ".join([f"{row.name:20}", *(f"{key} {value:.3f}" for key, value in row.values.items())]))


if __name__ == "__main__":
    main()
