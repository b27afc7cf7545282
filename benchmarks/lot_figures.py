"""Prints the table of docs/lot.md: `PYTHONPATH=models python benchmarks/lot_figures.py` (minutes).

The embedded demo by its words, and as a lot: by an image's largest patch, and smoothed over images that look alike.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

import clipspect
from clipspect_lab.lot.judge import judge_lot
from demo.data_sets import write_products

MIXES = ((12, 12), (27, 3))  # good and defective images of each product


def lots(products: Path, good: int, defective: int) -> dict[str, list[Path]]:
    """Of each product so many good images, and as many of each kind of defect as there can be."""
    found = {}
    for product in sorted(products.iterdir()):
        kinds = {folder.name: sorted(folder.iterdir()) for folder in sorted((product / "test").iterdir())}
        whole = kinds.pop("good")[:good]
        found[product.name] = whole + [image for turn in zip(*kinds.values()) for image in turn][:defective]
    return found


def figures(images: list[Path]) -> tuple[float, float, float]:
    """Image AUROC by words, by a lot's largest patch, and by a lot as it ranks."""
    with clipspect.load("demo") as inspector:
        words = [inspector.inspect(image).score for image in images]
    ranked = {outcome.item.frame: outcome.require() for outcome in judge_lot("demo", images).ranked}
    results = [ranked[image] for image in images]
    scores = words, [float(result.model_map.max()) for result in results], [result.score for result in results]
    truth = ["good" not in image.parent.name for image in images]
    return tuple(float(roc_auc_score(truth, np.array(own))) for own in scores)  # type: ignore[return-value]


def main() -> None:
    print(
        "| set, of each product | words alone | lot, largest patch | lot, smoothed (RsCIN) |\n| --- | --- | --- | --- |"
    )
    with tempfile.TemporaryDirectory() as folder:
        products = write_products(Path(folder) / "products", each=max(good for good, _ in MIXES) // 3)
        for good, defective in MIXES:
            found = [figures(images) for images in lots(products, good, defective).values()]
            cells = " | ".join(f"{statistics.fmean(own):.3f}" for own in zip(*found))
            print(f"| {good} good, {defective} defective | {cells} |", flush=True)


if __name__ == "__main__":
    main()
