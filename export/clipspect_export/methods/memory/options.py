"""What a memory of good parts leaves open; the defaults are AnomalyDINO's (Damm et al. 2025)."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.base.errors import ExportError
from clipspect.engines.graph import PHOTOS
from clipspect_export.methods.method import DINO, Method, option

NEAREST, SUBSPACE = "nearest", "subspace"
SCORERS = (NEAREST, SUBSPACE)
SHARE, SIGMA = 1.0, 4.0  # both published methods'
PER_CENT = 100


@dataclass(frozen=True)
class MemoryOptions:
    """How patches are compared, which, and how that becomes a score and a map."""

    scorer: str = option(
        NEAREST,
        "compare with the nearest patch of good parts, or with the subspace that their patches lie in",
        choices=SCORERS,
    )
    blocks: tuple[int, ...] = option(
        (), "blocks whose patches are read, counted from 1 (default: the last)", metavar="8,9"
    )
    share: float = option(SHARE, "the image's score is the mean of the largest values, so many per cent", metavar="P")
    sigma: float = option(SIGMA, "standard deviation in pixels of the Gaussian over the map, 0 for none", metavar="S")
    image_size: str | None = option(None, "height and width in pixels (default: 448x448)", metavar="HxW")


METHOD = Method("memory", MemoryOptions, roles=(PHOTOS,), tower=DINO)


def require_blocks(blocks: tuple[int, ...], depth: int, name: str) -> tuple[int, ...]:
    """The blocks that are read, the last where none are named. Raises ExportError."""
    chosen = blocks or (depth,)
    if list(chosen) != sorted(set(chosen)) or not 1 <= chosen[0] <= chosen[-1] <= depth:
        raise ExportError(f"{name}: blocks {','.join(map(str, chosen))}: expected some of 1 to {depth}, ascending")
    return chosen


def largest(share: float, values: int) -> int:
    """How many of the values are so many per cent, rounded down, one at least. Raises ExportError."""
    if not 0 < share <= PER_CENT:
        raise ExportError(f"share {share}: expected per cent, above 0 and up to 100")
    return max(1, int(values * share / PER_CENT))
