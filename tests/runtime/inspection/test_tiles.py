"""Frames in tiles, and cropped regions, through an inspector: each view as if alone, some at a time, never mixed up."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import clipspect
from clipspect.base.errors import AnswerError, BackendError, ImageError
from clipspect.frame.region_of_interest import CROP, Area, RegionOfInterest
from clipspect.frame.tiling import Tiling
from clipspect.frame.views import Box
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.merge import Merged
from clipspect.inspection.regions import find_regions
from clipspect.inspection.scoring import TILES_AT_ONCE
from clipspect.recipes.limits import Limits
from support import handmade, handmade_graphs

WIDTH, HEIGHT = 200, 140
TILED = handmade.make_recipe("tiled", tiling=Tiling(size=(64, 64)), limits=Limits(0.5, 0.5))
CORNER = RegionOfInterest((WIDTH, HEIGHT), Area((((120, 20), (190, 20), (190, 110), (120, 110)),)), mode=CROP)
CROPPED = handmade.make_recipe("cropped", region_of_interest=CORNER)


def picture(seed: int = 0) -> npt.NDArray[np.uint8]:
    """Dim noise with one bright spot."""
    drawn = np.random.default_rng(seed).integers(20, 60, (HEIGHT, WIDTH, 3), np.uint8)
    drawn[70:76, 130:137] = 250
    return drawn


class Counted:
    """How many images each run of an inspector's engine takes."""

    def __init__(self, inspector: Inspector) -> None:
        self.runs: list[int] = []
        engine: Any = inspector._engine
        run = engine.run

        def counted(serving: Any, pixels: npt.NDArray[np.uint8], *others: Any) -> Any:
            self.runs.append(len(pixels))
            return run(serving, pixels, *others)

        engine.run = counted


@pytest.fixture
def inspector(tiny_bundle: Path) -> Iterator[Inspector]:
    with clipspect.load(tiny_bundle, TILED, threads=2) as loaded:
        yield loaded


def test_every_tile_is_seen_as_if_it_were_a_frame_alone_and_the_worst_scores(inspector: Inspector) -> None:
    shown = picture()
    views = TILED.viewing.views(WIDTH, HEIGHT)
    with inspector.with_recipe("object") as whole:
        alone = [whole.inspect(np.ascontiguousarray(shown[view.crop.slices])) for view in views]
    found = inspector.inspect(shown)
    assert found.score == max(result.score for result in alone)
    expected = Merged(views, (handmade.SIDE, handmade.SIDE))
    expected.add(np.array([0.0], np.float32), np.stack([result.model_map for result in alone]))
    np.testing.assert_array_equal(found.model_map, expected.map)
    assert found.model_map.shape == (70, 100), "the scale of the tiles, not of the frame"


def test_a_defect_that_the_whole_frame_does_not_show_is_found_at_its_place(inspector: Inspector) -> None:
    shown = picture()
    with inspector.with_recipe("object") as whole:
        assert whole.inspect(shown).score < inspector.inspect(shown).score - 0.1
    result = inspector.inspect(shown)
    assert result.verdict == "fail"
    (region,) = result.regions
    assert abs(region.centroid[0] - 133) < 2
    assert abs(region.centroid[1] - 72.5) < 2


def test_regions_are_those_of_the_map_in_the_pixels_of_the_frame(inspector: Inspector) -> None:
    with inspector.with_recipe(dataclasses.replace(TILED, limits=Limits(0.5, 0.5, 0.17))) as low:
        result = low.inspect(picture())
        assert result.anomaly_map.shape == (HEIGHT, WIDTH)
        assert result.regions == find_regions(result.anomaly_map, 0.17)
        assert len(result.regions) > 3
        assert result.peak == result.anomaly_map.max() == result.regions[0].peak


def test_tiles_go_through_the_engine_some_at_a_time_whatever_their_number(inspector: Inspector) -> None:
    counted = Counted(inspector)
    with inspector.with_recipe(handmade.make_recipe("many", tiling=Tiling(grid=(9, 6)))) as many:
        many.inspect(picture())
    assert sum(counted.runs) == 54
    assert max(counted.runs) == TILES_AT_ONCE
    assert len(counted.runs) == -(-54 // TILES_AT_ONCE)


def test_whole_frames_beside_tiled_ones_still_share_a_run(inspector: Inspector) -> None:
    small, large = np.full((60, 50), 51, np.uint8), picture()
    counted = Counted(inspector)
    results = inspector.inspect_batch([small, small, large, small])
    assert counted.runs == [2, 4, 4, 4, 1], "three columns and four rows of tiles"
    assert [result.score for result in results] == [pytest.approx(0.2)] * 2 + [results[2].score, pytest.approx(0.2)]
    assert results[2].score > 0.5


@pytest.mark.parametrize("batch", [1, 3])
def test_a_stream_answers_as_one_by_one_and_fetches_few_large_frames_ahead(inspector: Inspector, batch: int) -> None:
    fetched = 0

    def camera() -> Iterator[npt.NDArray[np.uint8]]:
        nonlocal fetched
        for number in range(12):
            fetched = number + 1
            yield picture(number)

    for number, outcome in enumerate(inspector.stream(camera(), batch)):
        assert fetched <= number + 4
        alone = inspector.inspect(picture(number))
        assert outcome.require().score == alone.score
        np.testing.assert_array_equal(outcome.require().model_map, alone.model_map)
        assert outcome.frame is None


def test_pictures_are_kept_where_they_are_asked_for_and_let_go_elsewhere(inspector: Inspector) -> None:
    (kept,) = inspector.stream([picture()], keep_pictures=True)
    assert kept.frame is not None
    np.testing.assert_array_equal(np.asarray(kept.frame.image), picture())
    (answer,) = inspector.answer([dataclasses.replace(inspector.prepare(picture(1)))])
    assert not isinstance(answer, Exception)
    with pytest.raises(ImageError, match="its picture was not kept"):
        inspector.answer([dataclasses.replace(inspector.prepare(picture()), picture=None)])


def test_extras_have_the_rows_of_every_tile(full_bundle: Path) -> None:
    rows = {f"reference_{name}": np.ones((2, 3), np.float32) for name in ("fine", "coarse")}
    tensors = {"text_features": np.ones((2, 1, 4), np.float32), **rows}
    few = handmade.make_recipe("few", tensors=tensors, tiling=Tiling(grid=(3, 2)))
    with clipspect.load(full_bundle, few, extras=["features_fine"]) as inspector:
        (answer,) = inspector.answer([inspector.prepare(picture())])
        assert not isinstance(answer, Exception)
        assert len(answer.extras["features_fine"]) == 6


def test_a_tile_that_the_engine_answers_infinity_to_is_the_error_of_its_frame(tmp_path: Path) -> None:
    root = handmade.write_bundle(tmp_path / "b")
    (root / "model.onnx").write_bytes(handmade_graphs.brightness(handmade.SIDE, handmade.DIM, scale=1))
    large = np.full((2, 1, handmade.DIM), 3e38, np.float32)  # times 2 or more: infinity
    recipe = handmade.make_recipe("large", tensors={"text_features": large}, tiling=Tiling(grid=(3, 3), overlap=0))
    dark = np.zeros((96, 96), np.uint8)
    spotted = dark.copy()
    spotted[40:50, 40:50] = 9
    with clipspect.load(handmade.rewritten(root), recipe) as inspector:
        bad, fine = inspector.stream([spotted, dark])
        assert isinstance(bad.error, AnswerError)
        assert fine.require().score == 0
        with pytest.raises(BackendError):
            inspector.inspect(spotted)


def test_a_frame_that_cannot_be_cut_is_its_own_error(tiny_bundle: Path) -> None:
    recipe = handmade.make_recipe("fine", tiling=Tiling(grid=(20, 20)))
    with clipspect.load(tiny_bundle, recipe) as inspector:
        small, fine = inspector.stream([np.zeros((9, 9), np.uint8), picture()])
        assert "a side of 9 pixels is too short for 20 tiles" in str(small.error)
        assert fine.require().score > 0.5


def test_a_cropped_region_is_inspected_as_if_it_were_the_frame(tiny_bundle: Path) -> None:
    shown, box = picture(), Box(120, 20, 190, 110)
    with clipspect.load(tiny_bundle) as whole, whole.with_recipe(CROPPED) as cropped:
        alone, found = whole.inspect(np.ascontiguousarray(shown[box.slices])), cropped.inspect(shown)
        outside = shown.copy()
        outside[:20], outside[:, :120] = 255, 255
        unmoved = cropped.inspect(outside)
    assert (found.score, found.quality, found.peak) == (alone.score, alone.quality, alone.peak)
    np.testing.assert_array_equal(found.anomaly_map[box.slices], alone.anomaly_map)
    assert found.anomaly_map.sum() == pytest.approx(alone.anomaly_map.sum(), rel=1e-5)
    moved = [dataclasses.replace(region, x=region.x - 120, y=region.y - 20) for region in found.regions]
    assert [(r.x, r.y, r.area, r.peak) for r in moved] == [(r.x, r.y, r.area, r.peak) for r in alone.regions]
    assert found.regions
    assert (unmoved.score, unmoved.regions) == (found.score, found.regions)


def test_tiles_of_a_cropped_region_are_those_of_the_rectangle(tiny_bundle: Path) -> None:
    tiling = Tiling(size=(40, 40))
    recipe = handmade.make_recipe("both", region_of_interest=CORNER, tiling=tiling)
    shown = picture()
    with clipspect.load(tiny_bundle, recipe) as inspector:
        found = inspector.inspect(shown)
        with inspector.with_recipe(handmade.make_recipe("tiles", tiling=tiling)) as tiles:
            alone = tiles.inspect(np.ascontiguousarray(shown[20:110, 120:190]))
    assert found.score == alone.score
    np.testing.assert_array_equal(found.anomaly_map[20:110, 120:190], alone.anomaly_map)


def test_the_score_of_a_mask_is_that_of_its_most_anomalous_tile(tiny_bundle: Path) -> None:
    """Over the whole frame the largest hundredth of the pixels would drown a small defect."""
    region = RegionOfInterest((WIDTH, HEIGHT), Area((((10, 10), (190, 10), (190, 130), (10, 130)),)))
    recipe = handmade.make_recipe("mask", region_of_interest=region, tiling=Tiling(grid=(4, 3), overlap=0))
    outside = picture()
    outside[:8] = 255
    with clipspect.load(tiny_bundle, recipe) as inspector:
        found, unmoved = inspector.inspect(picture()), inspector.inspect(outside)
    tile = found.model_map[32:64, 64:96]  # the one with the spot: rows 47 to 93, columns 100 to 150
    assert found.score == pytest.approx(float(np.sort(tile.ravel())[-10:].mean()), abs=1e-6)
    assert unmoved.score == pytest.approx(found.score, abs=1e-6)


def test_tiles_without_a_judged_pixel_are_not_run(tiny_bundle: Path) -> None:
    region = RegionOfInterest((WIDTH, HEIGHT), Area((((0, 0), (30, 0), (30, 30), (0, 30)),)))
    recipe = handmade.make_recipe("corner", region_of_interest=region, tiling=Tiling(grid=(4, 4), overlap=0))
    with clipspect.load(tiny_bundle, recipe) as inspector:
        counted = Counted(inspector)
        result = inspector.inspect(picture())
    assert counted.runs == [1]
    assert result.map_box == Box(0, 0, 50, 35)
    assert not result.anomaly_map[35:].any()
