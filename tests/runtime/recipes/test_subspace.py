"""The subspace of good parts: what scikit-learn finds in all rows at once, from sums alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from clipspect.base.errors import RecipeError
from clipspect.recipes.subspace import EXPLAINED, find_subspace

Array = npt.NDArray[np.float32]


def rows_of(seed: int, count: int = 400, dim: int = 12) -> Array:
    """Rows far from the origin, whose spread falls from one direction to the next."""
    rng = np.random.default_rng(seed)
    scales = 2.0 ** -np.arange(dim)
    turn = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    return (50 + (rng.normal(size=(count, dim)) * scales) @ turn).astype(np.float32)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 9))
def test_it_is_scikit_learns_whatever_the_batches(seed: int, batches: int) -> None:
    rows = rows_of(seed)
    found = find_subspace(np.array_split(rows, batches), most=12)
    expected = PCA(n_components=EXPLAINED, svd_solver="full").fit(rows.astype(np.float64))
    assert found.rank == expected.n_components_
    np.testing.assert_allclose(found.mean, expected.mean_, rtol=1e-6)
    own = found.components[: found.rank].astype(np.float64)
    np.testing.assert_allclose(own.T @ own, expected.components_.T @ expected.components_, atol=1e-5)
    assert not found.components[found.rank :].any()
    assert found.explained == pytest.approx(expected.explained_variance_ratio_.sum(), abs=1e-9)
    assert found.rows == len(rows)


@pytest.mark.parametrize(
    ("rows", "most", "message"),
    [
        (np.ones((50, 4), np.float32), 4, "show one and the same row everywhere"),
        (np.eye(6, dtype=np.float32), 6, "too few references: 6 patches cannot tell a subspace of 5 dimensions"),
        (rows_of(0), 3, r"differ in \d directions, the graph takes 3: take photos of one part"),
    ],
)
def test_references_that_make_no_subspace_are_refused(rows: Array, most: int, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as refused:
        find_subspace([rows], most)
    assert "\n" not in str(refused.value)
