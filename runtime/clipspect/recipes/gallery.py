"""A gallery: rows of photos of good parts to compare with, of which those are kept that the others are close to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_ROWS = 8192  # of a gallery, compared with at once: what bounds the memory

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Thinning:
    """Which rows of a gallery are kept, and how far the others are from them in cosine distance (1 - cosine)."""

    kept: npt.NDArray[np.int64]  # indices, ascending
    largest_distance: float  # of a dropped row from the nearest kept one; 0 when none was dropped
    mean_distance: float


@dataclass(frozen=True, eq=False)
class Gallery:
    """The rows of all references, (R, D) of length 1, the index of each row's reference, (R,), and which are kept."""

    rows: Array
    owners: npt.NDArray[np.int64]
    thinning: Thinning

    @property
    def kept(self) -> Array:
        rows: Array = self.rows[self.thinning.kept]
        return rows

    @property
    def kept_of_each(self) -> npt.NDArray[np.int64]:
        """Of each reference, how many rows are kept; they lie one reference after the other."""
        return np.bincount(self.owners[self.thinning.kept], minlength=int(self.owners[-1]) + 1)

    @property
    def places_of_kept(self) -> npt.NDArray[np.int64]:
        """Of each row that is kept, which of its reference's it is; they lie one reference after the other."""
        kept = self.thinning.kept
        places: npt.NDArray[np.int64] = kept - np.searchsorted(self.owners, self.owners[kept])
        return places

    @property
    def is_thinned(self) -> bool:
        return len(self.thinning.kept) < len(self.rows)

    def without(self, reference: int | None, *, thinned: bool) -> Array:
        """The rows, all or those kept, less those of one reference; `None` leaves none out."""
        chosen = self.thinning.kept if thinned else np.arange(len(self.rows))
        others = chosen[self.owners[chosen] != reference] if reference is not None else chosen
        rows = self.rows
        if not len(others):  # every kept row was that reference's: thin the others' as much
            rows = rows[self.owners != reference]
            others = thin(rows, len(chosen)).kept
        return rows[others]


Galleries = dict[str, Gallery]  # by the name of the graph's input, reference_*


def thin(rows: Array, size: int | None) -> Thinning:
    """At most `size` of the rows, (R, D) of length 1, such that no other row is far from all of them.

    Greedy k-centre (Gonzalez 1985): begin with the row that is closest to the mean direction, then take, time and
    again, the row that is farthest from those taken. Its largest distance, as length of the difference between rows,
    is at most twice that of the best choice of as many rows. O(R size D), and the same rows for the same input.
    """
    if size is None or size >= len(rows):
        return Thinning(np.arange(len(rows)), 0.0, 0.0)
    picks = [int(np.argmax(rows @ rows.mean(axis=0)))]
    distances = 1 - rows @ rows[picks[0]]  # of each row from the nearest one taken
    while len(picks) < size:
        distances[picks[-1]] = -np.inf  # taken, whatever rounding makes of its distance from itself
        picks.append(int(np.argmax(distances)))
        np.minimum(distances, 1 - rows @ rows[picks[-1]], out=distances)
    dropped = np.clip(np.delete(distances, picks), 0, None)
    return Thinning(np.sort(np.array(picks)), float(dropped.max()), float(dropped.mean(dtype=np.float64)))


def distances(rows: Array, gallery: Array) -> Array:
    """1 minus the largest cosine of each row (n, D) to those of a gallery (R, D), all of length 1: (n,)."""
    nearest = [(rows @ gallery[at : at + _ROWS].T).max(axis=1) for at in range(0, len(gallery), _ROWS)]
    found: Array = 1 - np.max(nearest, axis=0)
    return found
