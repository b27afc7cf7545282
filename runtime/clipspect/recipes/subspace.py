"""The subspace that the rows of good parts lie in: their mean and principal components, found on the box in NumPy.

SubspaceAD judges a patch by what its feature leaves over outside of that subspace, squared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import RecipeError

EXPLAINED = 0.99  # of the variance, by the components that are kept

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Subspace:
    """What a recipe holds of it, and what it says."""

    mean: Array  # (D,)
    components: Array  # (most, D): orthogonal rows of length 1, by their variance, then zeros
    rank: int  # how many there are before the zeros
    explained: float  # of the variance, by these
    rows: int  # that it was made of


def find_subspace(batches: Iterable[Array], most: int) -> Subspace:
    """The smallest subspace that explains 99 % of the variance of rows (n, D), given batch by batch.

    Sums are kept in float64, never the rows, so that any number of photos fits into memory. `most` components can be
    kept. Raises RecipeError where the rows are too few, or all the same, or need more components.
    """
    count, total, products, origin = 0, np.zeros(0), np.zeros((0, 0)), np.zeros(0)
    for batch in batches:
        rows = batch.astype(np.float64)
        if not count:  # sums around the first batch's mean lose no digits where the mean is large
            origin = rows.mean(axis=0)
            total, products = np.zeros(len(origin)), np.zeros((len(origin), len(origin)))
        rows -= origin
        count, total = count + len(rows), total + rows.sum(axis=0)
        products += rows.T @ rows
    shift = total / max(count, 1)
    covariance = (products - count * np.outer(shift, shift)) / max(count - 1, 1)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = np.clip(values[::-1], 0, None), vectors[:, ::-1]  # the largest first
    rank = _rank(values, count)
    if rank > most:
        raise RecipeError(
            f"the good parts differ in {rank} directions, the graph takes {most}: take photos of one part, laid alike"
        )
    components = np.zeros((most, len(shift)), np.float32)
    components[:rank] = vectors[:, :rank].T
    explained = float(values[:rank].sum() / values.sum())
    return Subspace((origin + shift).astype(np.float32), components, rank, explained, count)


def _rank(values: npt.NDArray[np.float64], rows: int) -> int:
    """The least number of eigenvalues, the largest first, that sum to EXPLAINED of all. Raises RecipeError."""
    sums = np.cumsum(values)
    if not rows or sums[-1] <= 0:
        raise RecipeError("the references show one and the same row everywhere: take photos of a part")
    rank = int(np.argmax(sums / sums[-1] >= EXPLAINED)) + 1
    if rows <= rank + 1:
        raise RecipeError(
            f"too few references: {rows} patches cannot tell a subspace of {rank} dimensions from all that there is: "
            "add photos of good parts"
        )
    return rank
