"""What a bundle makes of textile images that nobody here drew: `python -m demo.textile`.

The simulated textiles of the package `conformal-clip-data` (MIT): nominal, with a local defect, with a global one.
They have no masks, so this is image AUROC only.
"""

from __future__ import annotations

import argparse

import clipspect
import conformal_clip_data as textiles
import numpy as np
from clipspect.evaluation.metrics import auroc
from tqdm import tqdm

BATCH = 8


def textile_auroc(bundle: str, each: int) -> dict[str, float | None]:
    """Image AUROC of the first `each` images with local, then with global defects, against as many nominal ones."""
    folders = {"nominal": textiles.nominal_dir(), "local": textiles.local_dir(), "global": textiles.global_dir()}
    scores: dict[str, list[float]] = {}
    with clipspect.load(bundle) as inspector:
        for kind, folder in folders.items():
            paths = sorted(folder.glob("*.jpg"))[:each]
            scores[kind] = []
            for first in tqdm(range(0, len(paths), BATCH), desc=kind, unit="batch"):
                scores[kind] += [result.score for result in inspector.inspect_batch(paths[first : first + BATCH])]
    return {
        kind: auroc(
            np.repeat([False, True], [len(scores["nominal"]), len(scores[kind])]),
            np.array(scores["nominal"] + scores[kind]),
        )
        for kind in ("local", "global")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="demo")
    parser.add_argument("--each", type=int, default=500, help="images of each kind")
    args = parser.parse_args()
    for kind, value in textile_auroc(args.bundle, args.each).items():
        print(f"{kind} defects: image AUROC {value:.3f}")


if __name__ == "__main__":
    main()
