"""What a bundle makes of textile images that nobody here drew: `python -m demo.textile`.

The simulated textiles of the package `conformal-clip-data` (MIT): nominal, with a local defect, with a global one.
They have no masks, so this is image AUROC only.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from clipspect_lab.evaluation.evaluate import evaluate
from clipspect_lab.evaluation.request import Request
from demo.data_sets import TEXTILES, write_textiles


def textile_auroc(bundle: str, each: int) -> dict[str, float | None]:
    """Image AUROC of the first `each` images with local, then with global defects, against as many nominal ones."""
    found: dict[str, float | None] = {}
    with tempfile.TemporaryDirectory(prefix="clipspect-textiles-") as folder:
        for kind in TEXTILES:
            dataset = write_textiles(Path(folder) / kind, kind, each)
            (row,) = evaluate(Request(bundle, dataset, "folder")).rows
            found[kind] = row.image.auroc
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="demo")
    parser.add_argument("--each", type=int, default=500, help="images of each kind")
    args = parser.parse_args()
    for kind, value in textile_auroc(args.bundle, args.each).items():
        print(f"{kind} defects: image AUROC {value:.3f}")


if __name__ == "__main__":
    main()
