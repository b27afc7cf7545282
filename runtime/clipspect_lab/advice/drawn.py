"""The photographs that advice rests on: which are references, which are scored; drawn once, for all candidates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from clipspect.base.errors import DatasetError
from clipspect.base.progress import Progress, quiet
from clipspect.frame.item import Item
from clipspect.frame.spec import ImageSpec
from clipspect.host.system import usable_cores
from clipspect.inspection.photographs import Photograph, read_photographs, refuse_equal

FEWEST_GOOD, FEWEST_DEFECTIVE = 5, 2  # parts that are scored: with fewer no interval says anything
MOST_SCORED = 200  # parts of either kind: more would only take longer

Part: TypeAlias = "tuple[Photograph, ...]"  # its frames


@dataclass(frozen=True, eq=False)
class Drawn:
    """Every candidate has the same references and is scored on the same parts, so that they can be compared."""

    references: tuple[Photograph, ...]  # of each part one; k shots are the first k
    good: tuple[Part, ...] = field(repr=False)
    defective: tuple[Part, ...] = field(repr=False)
    shots: tuple[int, ...]  # those that leave enough parts to score
    left_out: dict[str, str]  # why the others are not tried
    not_scored: int  # parts over MOST_SCORED
    seed: int

    @property
    def scored_frames(self) -> int:
        """Frames that every candidate scores."""
        return sum(map(len, (*self.good, *self.defective)))


def draw(
    good: Iterable[Item],
    defective: Iterable[Item],
    spec: ImageSpec,
    *,
    shots: Sequence[int],
    seed: int = 0,
    group: str | None = None,
    progress: Progress = quiet,
) -> Drawn:
    """Read every photograph, and draw references from the good parts, at most two thirds of them, by the seed.

    The frames of a part that gives a reference are never scored. Raises DatasetError for too few, RecipeError for the
    same photograph twice, ImageError for one that cannot be read.
    """
    workers = usable_cores()
    read = [
        read_photographs(items, spec, group=group, workers=workers, progress=progress) for items in (good, defective)
    ]
    refuse_equal([*read[0], *read[1]])
    rng = np.random.default_rng(seed)
    whole, bad = (_shuffled(_parts(photographs), rng) for photographs in read)
    most = min(2 * len(whole) // 3, len(whole) - FEWEST_GOOD)
    if most < 1:
        raise DatasetError(
            f"{len(whole)} good parts are too few: {FEWEST_GOOD + 1} at least, one to compare with and "
            f"{FEWEST_GOOD} to score; 30 or more are better"
        )
    if 0 < len(bad) < FEWEST_DEFECTIVE:
        raise DatasetError(
            f"{len(bad)} defective part is too few to measure anything on: give {FEWEST_DEFECTIVE} or more, or none"
        )
    asked = sorted(set(shots))
    kept = tuple(count for count in asked if count <= most)
    aside = max(kept, default=0)
    scored, defects = whole[aside : aside + MOST_SCORED], bad[:MOST_SCORED]
    few = f"{len(whole)} good parts leave too few to score: at most {most} can be references"
    return Drawn(
        references=tuple(part[0] for part in whole[:aside]),
        good=tuple(scored),
        defective=tuple(defects),
        shots=kept,
        left_out={f"{count} shots": few for count in asked if count > most},
        not_scored=len(whole) - aside - len(scored) + len(bad) - len(defects),
        seed=seed,
    )


def _parts(photographs: Sequence[Photograph]) -> list[Part]:
    """The frames of each part, in the order of their first ones."""
    found: dict[str, list[Photograph]] = {}
    for photograph in photographs:
        found.setdefault(photograph.part, []).append(photograph)
    return [tuple(frames) for frames in found.values()]


def _shuffled(parts: list[Part], rng: np.random.Generator) -> list[Part]:
    return [parts[place] for place in rng.permutation(len(parts))]
