"""Finished weights beside each other: `python -m demo.choice WEIGHTS...`.

As `validation` does, on new pictures of the families and kinds that are trained on; other ones than the learning
curve's, and more. Nothing here is held out: which weights ship is chosen by these figures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from clipspect_export.towers.clip import build_clip
from clipspect_export.towers.config import read_backbone
from clipspect_export.towers.weights import load_weights
from demo.rounds import ROUNDS
from demo.train import CONFIG
from demo.validation import draw_pairs, figures

SEED = 7332  # no shard of the training's pictures has it, nor the learning curve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", nargs="+", type=Path)
    parser.add_argument("--each", type=int, default=6, help="pairs of every family")
    args = parser.parse_args()
    pairs = draw_pairs(ROUNDS[-1].families, ROUNDS[-1].kinds, args.each, SEED)
    config = read_backbone(CONFIG)
    for path in args.weights:
        print(path)
        for row in figures(build_clip(config, load_weights(path, config)[0].tensors), pairs):
            print("  ".join([f"{row.name:20}", *(f"{key} {value:.3f}" for key, value in row.values.items())]))


if __name__ == "__main__":
    main()
