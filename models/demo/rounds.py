"""The two rounds of training: what each draws, reads and how fast it learns.

The second begins with the first one's float16 weights and new optimisers. It adds surfaces with strong edges of their
own and kinds of defect, reads more windows of fewer pictures, and reads the same windows of twins. Its surfaces were
chosen knowing that held-out terrazzo was weak, and by the first round's figures on new pictures of trained families
(`validation`), which pointed the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

from demo import blemishes, defects, medleys, surfaces
from demo.fields import Family, Kind


@dataclass(frozen=True)
class Round:
    """`seed` is of the pictures, the batches and the first weights; a batch is `pairs` good parts and their twins."""

    seed: int
    families: dict[str, Family]
    kinds: dict[str, Kind]
    drawn: int  # pairs
    steps: int
    pairs: int
    whole: int  # of the pairs; of the others windows alone are read
    windows: dict[int, int]  # a picture, by scale
    twins_alike: bool  # whether twins are read in the same windows
    peak_rate: float
    falling: int  # the last steps, over which the rate falls
    loss_weights: dict[str, float]


ROUNDS = (
    Round(
        seed=1,
        families=surfaces.TRAIN,
        kinds=defects.TRAIN,
        drawn=10_000,
        steps=3600,
        pairs=20,
        whole=20,
        windows={2: 8, 3: 8},
        twins_alike=False,
        peak_rate=1.5e-3,
        falling=3540,
        loss_weights={"image": 1.0, "windows": 1.0, "patches": 1.0},
    ),
    Round(
        seed=2,
        families=surfaces.TRAIN | medleys.TRAIN,
        kinds=defects.TRAIN | blemishes.TRAIN,
        drawn=8000,
        steps=1500,
        pairs=24,
        whole=8,
        windows={2: 10, 3: 10},
        twins_alike=True,
        peak_rate=8e-4,
        falling=1440,
        loss_weights={"image": 1.0, "windows": 2.0, "patches": 0.5},
    ),
)
