"""The drawn pictures, kept on disk in shards: each a good part, its damaged twin, and the mask.

A shard is drawn from its own seed, whole or not at all, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from demo import blemishes, defects, fields, medleys, shapes, surfaces
from demo.fields import SIZE, Array, Family, Kind, Rng

SHARD = 200  # pairs a shard
DRAWING = (fields, shapes, surfaces, medleys, defects, blemishes)


@dataclass(frozen=True)
class Pair:
    """A good part and the same part damaged: uint8 (SIZE, SIZE, 3); the mask bool (SIZE, SIZE)."""

    family: str
    defect: str
    good: npt.NDArray[np.uint8]
    bad: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]

    def centre(self, side: int) -> Pair:
        """The middle of it, `side` pixels square."""
        inside = np.s_[(SIZE - side) // 2 : (SIZE + side) // 2, (SIZE - side) // 2 : (SIZE + side) // 2]
        return Pair(self.family, self.defect, self.good[inside], self.bad[inside], self.mask[inside])


def draw_pair(rng: Rng, families: dict[str, Family], kinds: dict[str, Kind], foreign: dict[str, Family]) -> Pair:
    """Draw one pair. `foreign` are the families whose material may appear in a defect."""
    names, others = list(families), list(foreign.values())
    while True:
        family = names[rng.integers(len(names))]
        surface = families[family](rng)
        drawn = defects.damaged(rng, surface, others[rng.integers(len(others))](rng).image, kinds)
        if drawn is not None:
            break
    defect, damaged, mask = drawn
    state = rng.bit_generator.state  # the same lamp and camera for both
    good = fields.finished(rng, surface.image)
    rng.bit_generator.state = state
    return Pair(family, defect, _bytes(good), _bytes(fields.finished(rng, damaged)), mask)


def _bytes(image: Array) -> npt.NDArray[np.uint8]:
    return np.rint(image * 255).astype(np.uint8)


def _draw_shard(path: Path, seed: int, families: dict[str, Family], kinds: dict[str, Kind]) -> None:
    rng = np.random.default_rng(seed)
    images = np.empty((SHARD, 2, SIZE, SIZE, 3), np.uint8)
    masks = np.empty((SHARD, SIZE, SIZE), np.bool_)
    for k in range(SHARD):
        pair = draw_pair(rng, families, kinds, families)
        images[k], masks[k] = (pair.good, pair.bad), pair.mask
    np.save(path.with_suffix(".masks.npy"), np.packbits(masks, axis=-1))
    partial = path.with_suffix(".partial.npy")
    np.save(partial, images)
    os.replace(partial, path)


def draw_pool(
    folder: Path, pairs: int, seed: int, families: dict[str, Family], kinds: dict[str, Kind], workers: int = 2
) -> list[Path]:
    """Draw what is not yet there; the shards' paths in order.

    They lie in a folder named after the drawing code, so that a change of it draws anew. A seed stands for its
    families and kinds: do not draw others with it.
    """
    code = b"".join(Path(module.__file__).read_bytes() for module in DRAWING)
    folder = folder / f"pool-{hashlib.sha256(code).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    shards = [folder / f"{seed:04d}-{k:04d}.npy" for k in range(-(-pairs // SHARD))]
    missing = [(path, seed * 100_000 + k) for k, path in enumerate(shards) if not path.exists()]
    with ProcessPoolExecutor(workers) as pool:
        jobs = [pool.submit(_draw_shard, path, shard_seed, families, kinds) for path, shard_seed in missing]
        for job in tqdm(jobs, desc="drawing", unit="shard", disable=not jobs):
            job.result()
    return shards


class Pool:
    """Random access to the shards, memory-mapped."""

    def __init__(self, shards: list[Path]) -> None:
        self.images = [np.load(path, mmap_mode="r") for path in shards]
        self.masks = [np.load(path.with_suffix(".masks.npy"), mmap_mode="r") for path in shards]

    def __len__(self) -> int:
        return len(self.images) * SHARD

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """Pair `index`: images uint8 (2, SIZE, SIZE, 3), good then bad; mask bool (SIZE, SIZE)."""
        shard, k = divmod(index, SHARD)
        mask = np.unpackbits(self.masks[shard][k], axis=-1, count=SIZE)
        return self.images[shard][k], mask.astype(np.bool_)
