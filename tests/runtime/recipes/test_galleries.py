"""Galleries: made by the graph, thinned within what is reported, and what a map's maximum is on good parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipspect.base.errors import BackendError
from clipspect.bundle.bundle import Bundle
from clipspect.engines import Backend, open_backend
from clipspect.recipes.galleries import EFFECT_IMAGES, SMALLEST_SPAN, GalleryMaker, blank_references
from clipspect.recipes.gallery import thin
from support import handmade, handmade_graphs

Array = npt.NDArray[np.float32]
TEXT = np.ones((2, 1, handmade.DIM), np.float32)


@st.composite
def unit_rows(draw: st.DrawFn, most: int = 40) -> Array:
    """Rows of length 1, some of them close together or equal."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, dim = draw(st.integers(1, most)), draw(st.integers(2, 6))
    centres = rng.normal(size=(draw(st.integers(1, 5)), dim))
    rows = centres[rng.integers(0, len(centres), count)] + draw(st.sampled_from([0, 0.1, 1])) * rng.normal(
        size=(count, dim)
    )
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def distances_to(rows: Array, chosen: npt.NDArray[np.int64]) -> Array:
    """Cosine distance of every row to the nearest chosen one."""
    return 1 - (rows.astype(np.float64) @ rows[chosen].astype(np.float64).T).max(axis=1)


@given(unit_rows(), st.integers(1, 45))
def test_every_dropped_row_is_within_the_reported_distance_of_a_kept_one(rows: Array, size: int) -> None:
    thinning = thin(rows, size)
    assert len(thinning.kept) == min(size, len(rows))
    assert (np.diff(thinning.kept) > 0).all()
    dropped = np.setdiff1d(np.arange(len(rows)), thinning.kept)
    if not len(dropped):
        assert (thinning.largest_distance, thinning.mean_distance) == (0, 0)
        return
    distances = distances_to(rows, thinning.kept)[dropped]
    assert thinning.largest_distance == pytest.approx(distances.max(), abs=1e-6)
    assert thinning.mean_distance == pytest.approx(distances.mean(), abs=1e-6)


@given(unit_rows(most=9), st.integers(1, 4))
def test_no_choice_of_as_many_rows_halves_the_largest_distance(rows: Array, size: int) -> None:
    """The k-centre guarantee, which is one of lengths: |a - b|² = 2 (1 - cosine)."""
    thinning = thin(rows, size)
    choices = combinations(range(len(rows)), min(size, len(rows)))
    best = min(distances_to(rows, np.array(choice)).max() for choice in choices)
    assert np.sqrt(2 * thinning.largest_distance) <= 2 * np.sqrt(2 * max(best, 0)) + 1e-3


def test_without_a_size_every_row_is_kept_in_its_order() -> None:
    rows = np.eye(5, dtype=np.float32)
    np.testing.assert_array_equal(thin(rows, None).kept, range(5))


def test_thinning_begins_with_the_commonest_row_and_goes_on_with_the_rarest() -> None:
    angles = np.array([0.0, 0.01, 0.02, 0.03, 1.5, 0.7])
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    np.testing.assert_array_equal(thin(rows, 1).kept, [3])  # nearest to the mean's direction
    np.testing.assert_array_equal(thin(rows, 2).kept, [3, 4])
    np.testing.assert_array_equal(thin(rows, 3).kept, [3, 4, 5])


# --- with a graph ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["plain", "with map limits"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Bundle:
    return Bundle.open(handmade.write_full_bundle(tmp_path / "b", map_limits=request.param))


@pytest.fixture
def limited(tmp_path: Path) -> Bundle:
    return Bundle.open(handmade.write_full_bundle(tmp_path / "b", map_limits=True))


@pytest.fixture
def engine(bundle: Bundle) -> Iterator[Backend]:
    with open_backend("onnxruntime", bundle.path / "fewshot.onnx") as opened:
        yield opened


def photos(count: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Photos of a part in a few colours, each a little different."""
    rng = np.random.default_rng(seed)
    blocks = 150 * rng.integers(0, 2, (1, 4, 4, 3)) + rng.integers(0, 100, (count, 4, 4, 3))
    return blocks.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)


def maker(bundle: Bundle, engine: Backend, pixels: npt.NDArray[np.uint8], text: Array = TEXT) -> GalleryMaker:
    few_shot = bundle.manifest.graphs["both"]
    return GalleryMaker(pixels, few_shot, engine, {"text_features": text, **blank_references(few_shot)})


def maximum(image: npt.NDArray[np.uint8], others: npt.NDArray[np.uint8]) -> float:
    """Of an image's map against all rows of others."""
    galleries = {name: rows.reshape(-1, 3) for name, rows in handmade_graphs.colour_rows(others).items()}
    return float(handmade_graphs.colour_answer(image[None], galleries, TEXT)[1].max())


@pytest.mark.parametrize("count", [1, 4, 5])
def test_a_gallery_holds_the_rows_of_all_references_in_their_order(bundle: Bundle, engine: Backend, count: int) -> None:
    galleries = maker(bundle, engine, photos(count)).galleries()
    assert set(galleries) == {"reference_fine", "reference_coarse"}
    for name, rows in handmade_graphs.colour_rows(photos(count)).items():
        np.testing.assert_allclose(galleries[f"reference_{name}"].kept, rows.reshape(-1, 3), atol=1e-6)


def test_each_gallery_is_thinned_on_its_own(bundle: Bundle, engine: Backend) -> None:
    galleries = maker(bundle, engine, photos(2)).galleries(10)
    assert {name: gallery.kept.shape for name, gallery in galleries.items()} == {
        "reference_fine": (10, 3),
        "reference_coarse": (8, 3),  # all it has
    }


def test_map_limits_are_the_ends_of_what_left_out_references_reach(limited: Bundle) -> None:
    pixels = photos(3)
    maxima = [maximum(pixels[i], np.delete(pixels, i, axis=0)) for i in range(3)]
    with open_backend("onnxruntime", limited.path / "fewshot.onnx") as engine:
        found = maker(limited, engine, pixels)
        limits = found.map_limits(found.galleries())
    assert limits is not None
    assert limits.dtype == np.float32
    assert max(maxima) - min(maxima) > SMALLEST_SPAN
    np.testing.assert_allclose(limits, [min(maxima), max(maxima)], atol=1e-6)


def test_a_single_reference_is_compared_with_itself_and_its_mirror_images(limited: Bundle) -> None:
    pixels = photos(1)
    mirrored = [maximum(image, pixels) for image in (pixels[0, :, ::-1], pixels[0, ::-1])]
    with open_backend("onnxruntime", limited.path / "fewshot.onnx") as engine:
        found = maker(limited, engine, pixels)
        limits = found.map_limits(found.galleries())
    np.testing.assert_allclose(limits, [0, max(*mirrored, SMALLEST_SPAN)], atol=1e-6)


def test_limits_of_equal_photos_are_not_closer_than_the_smallest_span(limited: Bundle) -> None:
    with open_backend("onnxruntime", limited.path / "fewshot.onnx") as engine:
        found = maker(limited, engine, photos(1).repeat(3, axis=0))
        limits = found.map_limits(found.galleries())
    np.testing.assert_allclose(limits, [0, SMALLEST_SPAN], atol=1e-6)


def test_limits_are_for_graphs_that_take_them(full_bundle: Path) -> None:
    bundle = Bundle.open(full_bundle)
    with open_backend("onnxruntime", full_bundle / "fewshot.onnx") as engine:
        found = maker(bundle, engine, photos(2))
        assert found.map_limits(found.galleries()) is None


def test_a_reference_can_be_left_out_when_only_its_rows_were_kept(limited: Bundle) -> None:
    pixels = photos(2)
    with open_backend("onnxruntime", limited.path / "fewshot.onnx") as engine:
        found = maker(limited, engine, pixels)
        galleries = found.galleries(1)
        for gallery in galleries.values():
            owner = int(gallery.owners[gallery.thinning.kept[0]])
            rest = gallery.without(owner, thinned=True)
            assert len(rest) == 1
            assert (gallery.rows[gallery.owners == 1 - owner] == rest).all(axis=1).any()
        assert found.map_limits(galleries) is not None


def test_rows_do_not_depend_on_what_stands_for_references(bundle: Bundle, engine: Backend) -> None:
    blank = blank_references(bundle.manifest.graphs["both"], photos=2)
    assert blank["reference_fine"].shape == (32, 3)
    one_row = maker(bundle, engine, photos(2))
    whole = dataclasses.replace(one_row, given={**one_row.given, **blank}).galleries()
    for name, gallery in one_row.galleries().items():
        np.testing.assert_array_equal(gallery.kept, whole[name].kept)


def test_nothing_thinned_has_no_effect(bundle: Bundle, engine: Backend) -> None:
    found = maker(bundle, engine, photos(2))
    assert found.effect(found.galleries(32)) is None


@pytest.mark.parametrize("count", [1, 3, EFFECT_IMAGES + 2])
def test_the_effect_of_thinning_is_measured_on_maps_of_left_out_references(
    bundle: Bundle, engine: Backend, count: int
) -> None:
    pixels = photos(count)
    found = maker(bundle, engine, pixels)
    galleries = found.galleries(3)
    effect = found.effect(galleries)
    assert effect is not None
    trials = [(image, number) for number, image in enumerate(pixels)]
    if count == 1:
        trials = [(pixels[0, :, ::-1], -1), (pixels[0, ::-1], -1)]
    changes = []
    for image, number in trials[:EFFECT_IMAGES]:
        maps = []
        for thinned in (True, False):
            rows = {
                name.removeprefix("reference_"): gallery.without(None if number < 0 else number, thinned=thinned)
                for name, gallery in galleries.items()
            }
            maps.append(handmade_graphs.colour_answer(image[None], rows, TEXT)[1])
        changes.append(np.abs(maps[0] - maps[1]))
    assert effect.images == len(changes)
    assert effect.largest == pytest.approx(np.max(changes), abs=1e-6)
    assert effect.mean == pytest.approx(np.mean(changes), abs=1e-6)
    assert effect.largest > 0.01


def test_an_engine_that_answers_nan_makes_no_gallery(bundle: Bundle, engine: Backend) -> None:
    with pytest.raises(BackendError, match="answered NaN or infinity"):
        maker(bundle, engine, photos(1), TEXT * np.inf).galleries()


def test_progress_is_told_to_the_end_of_every_step(limited: Bundle) -> None:
    told: dict[str, list[tuple[int, int]]] = {}
    with open_backend("onnxruntime", limited.path / "fewshot.onnx") as engine:
        found = dataclasses.replace(
            maker(limited, engine, photos(5)),
            progress=lambda step, *counts: told.setdefault(step, []).append(counts),
        )
        galleries = found.galleries(4)
        found.map_limits(galleries)
        found.effect(galleries)
    assert list(told) == ["references", "galleries", "map limits", "effect of thinning"]
    for counts in told.values():
        assert counts[0][0] == 0
        assert counts[-1][0] == counts[-1][1] > 0
        assert counts == sorted(counts)
