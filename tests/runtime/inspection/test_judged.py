"""With a region of interest a frame is judged there alone: score, map, regions, checks and limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clipspect
from clipspect.base.errors import RecipeError
from clipspect.frame.region_of_interest import Area, RegionOfInterest, area_of
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.judged import score_of_judged
from clipspect.inspection.over_time import Smoothing, smoothed
from clipspect.recipes.limits import Limits
from clipspect.recipes.region import with_region
from support import handmade

WIDTH, HEIGHT = 64, 48
LEFT = RegionOfInterest((WIDTH, HEIGHT), Area((((0, 0), (32, 0), (32, 48), (0, 48)),)))
Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def inspector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspector]:
    """Its map is the grey value, and looks no farther than a pixel."""
    root = handmade.write_bundle(tmp_path_factory.mktemp("judged") / "tiny.bundle")
    with clipspect.load(root, backend="onnxruntime") as loaded:
        yield loaded


def recipe(region: RegionOfInterest | None, **changes: object) -> clipspect.Recipe:
    return handmade.make_recipe(region_of_interest=region, **changes)


def frame(seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Pixels:
    return np.random.default_rng(seed).integers(0, 200, (size[1], size[0], 3), dtype=np.uint8)


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, WIDTH), st.integers(0, HEIGHT)), min_size=3, max_size=6, unique=True),
    st.sampled_from([(64, 48), (128, 96), (65, 48)]),
    st.integers(0, 100),
)
def test_inside_the_map_is_that_of_the_whole_frame_and_outside_it_is_0(
    inspector: Inspector, polygon: list[tuple[int, int]], size: tuple[int, int], seed: int
) -> None:
    region = RegionOfInterest((WIDTH, HEIGHT), Area((tuple(polygon),)))
    judged = region.mask(*size)
    with inspector.with_recipe(recipe(region)) as alone:
        result = alone.inspect(frame(seed, size))
    whole = inspector.inspect(frame(seed, size)).anomaly_map
    if result.area is not None and result.area.fault:
        assert result.verdict == "invalid"
        return
    np.testing.assert_allclose(result.anomaly_map[judged], whole[judged], rtol=0, atol=1e-6)
    assert not result.anomaly_map[~judged].any()
    assert result.peak == pytest.approx(float(whole[judged].max(initial=0)), abs=1e-6)
    over = np.zeros_like(judged)
    for found in result.regions:
        over[found.y : found.y + found.height, found.x : found.x + found.width] = True
        assert found.peak > result.map_limit
    assert ((whole > result.map_limit) & judged & ~over).sum() == 0
    assert sum(found.area for found in result.regions) == int(((whole > result.map_limit) & judged).sum())


def test_a_defect_outside_changes_nothing(inspector: Inspector) -> None:
    clean, damaged = frame(), frame()
    damaged[10:30, 40:60] = 255
    with inspector.with_recipe(recipe(LEFT, limits=Limits(0.7, 0.9))) as alone:
        one, other = alone.inspect_batch([clean, damaged])
    assert inspector.inspect(clean).score < inspector.inspect(damaged).score
    assert (one.score, one.verdict, one.regions, one.quality) == (
        other.score,
        other.verdict,
        other.regions,
        other.quality,
    )
    np.testing.assert_array_equal(one.anomaly_map, other.anomaly_map)


def test_the_score_is_the_mean_of_the_largest_hundredth_of_the_judged_pixels() -> None:
    values = np.random.default_rng(0).random((40, 50), np.float32)
    judged = np.random.default_rng(1).random((40, 50)) < 0.3
    largest = sorted(values[judged].tolist(), reverse=True)[: int(judged.sum() * 0.01)]
    assert score_of_judged(values, judged) == pytest.approx(sum(largest) / len(largest), abs=1e-7)
    one = np.zeros_like(judged)
    one[3, 4] = True
    assert score_of_judged(values, one) == values[3, 4]


def test_regions_end_where_the_region_of_interest_does(inspector: Inspector) -> None:
    bright = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    bright[8:24, 16:48] = 255
    with inspector.with_recipe(recipe(LEFT)) as alone:
        (found,) = alone.inspect(bright).regions
    assert (found.x + found.width, found.area) == (32, found.width * found.height)


@pytest.mark.parametrize(
    ("region", "size", "reason"),
    [
        (LEFT, (48, 64), "region of interest: the frame is 48 x 64, the region was drawn on 64 x 48"),
        (
            RegionOfInterest((640, 480), Area((((100, 100), (103, 100), (100, 103)),))),
            (640, 480),
            "region of interest: no pixel of the model's 32 x 32 lies in it: draw it larger, or choose the mode crop",
        ),
    ],
)
def test_a_frame_that_has_no_such_region_is_invalid_and_nothing_of_it_is_judged(
    inspector: Inspector, region: RegionOfInterest, size: tuple[int, int], reason: str
) -> None:
    with inspector.with_recipe(recipe(region, limits=Limits(0.1, 0.2))) as alone:
        result = alone.inspect(frame(0, size))
    assert (result.verdict, result.reasons) == ("invalid", (reason,))
    assert (result.score, result.regions, result.peak) == (0, (), 0)
    assert not result.anomaly_map.any()


def test_a_lamp_outside_makes_no_frame_invalid_and_one_inside_does(inspector: Inspector) -> None:
    good = [frame(seed) for seed in range(12)]
    with inspector.with_recipe(recipe(LEFT)) as alone:
        calibrated = clipspect.calibrate(alone, good, anyway=True)
        alone.use_recipe(calibrated)
        dark = frame(20)
        dark[:, 40:] //= 8
        assert alone.inspect(dark).reasons == ()
        assert any("brightness" in reason for reason in alone.inspect(frame(21) // 8).reasons)
    assert calibrated.calibration is not None
    assert (calibrated.calibration.scorer.region, calibrated.calibration.embedding) == (LEFT.digest, ())


def test_calibration_scores_what_is_judged(inspector: Inspector) -> None:
    good = [frame(seed) for seed in range(12)]
    for place, picture in enumerate(good):
        picture[:, 40:] = 255 - place
    with inspector.with_recipe(recipe(LEFT)) as alone:
        calibrated = clipspect.calibrate(alone, good, anyway=True)
    assert calibrated.limits is not None
    assert calibrated.limits.reject < 0.8 < inspector.inspect(good[0]).score


def test_a_good_part_whose_region_is_not_there_stops_the_calibration(inspector: Inspector) -> None:
    with inspector.with_recipe(recipe(LEFT)) as alone, pytest.raises(RecipeError, match=r"caller#1: .* 48 x 64"):
        clipspect.calibrate(alone, [frame(0), frame(1, (48, 64))], anyway=True)


def test_limits_of_another_region_are_refused_and_dropped(inspector: Inspector) -> None:
    with inspector.with_recipe(recipe(LEFT)) as alone:
        calibrated = clipspect.calibrate(alone, [frame(seed) for seed in range(12)], anyway=True)
    other = RegionOfInterest((WIDTH, HEIGHT), ignored=LEFT.judged)
    for region in (None, other, dataclasses.replace(LEFT, mode="crop")):
        swapped = dataclasses.replace(calibrated, region_of_interest=region)
        with pytest.raises(RecipeError, match="calibrated with another region of interest than it has"):
            inspector.with_recipe(swapped)
        changed = with_region(calibrated, region)
        assert (changed.limits, changed.calibration) == (None, None)
        assert changed.history[-1].new is None
        assert "limits spoke of what was judged before" in changed.history[-1].why
    same = RegionOfInterest((WIDTH, HEIGHT), area_of(LEFT.drawn))
    assert with_region(calibrated, same).limits == calibrated.limits


def test_of_a_crop_the_pixels_outside_are_never_seen(inspector: Inspector) -> None:
    box = RegionOfInterest((WIDTH, HEIGHT), Area((((8, 8), (40, 8), (40, 40), (8, 40)),)), mode="crop")
    seen = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    seen[8:40, 8:40] = inside = frame(3, (32, 32))
    with inspector.with_recipe(recipe(box)) as alone:
        result = alone.inspect(seen)
    alone_inside = inspector.inspect(inside)
    np.testing.assert_array_equal(result.model_map, alone_inside.model_map)
    np.testing.assert_array_equal(result.anomaly_map[8:40, 8:40], alone_inside.anomaly_map)
    assert result.anomaly_map.sum() == pytest.approx(alone_inside.anomaly_map.sum(), rel=1e-5)
    assert result.quality == alone_inside.quality
    assert all(8 <= found.x < found.x + found.width <= 40 for found in result.regions)


def test_a_switched_recipe_judges_its_own_region(inspector: Inspector) -> None:
    bright = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    bright[:, 40:] = 255
    right = RegionOfInterest((WIDTH, HEIGHT), ignored=LEFT.judged)
    with inspector.with_recipe(recipe(LEFT)) as alone:
        ready = alone.prepare(bright)
        assert alone.score([ready])[0].score < 0.1
        alone.use_recipe(recipe(right))
        assert alone.score([ready])[0].score == 1
        alone.use_recipe(recipe(None))
        assert alone.score([ready])[0].area is None


def test_what_is_filtered_over_time_is_judged_there_alone(inspector: Inspector) -> None:
    bright = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    bright[8:24, 16:48] = 255
    with inspector.with_recipe(recipe(LEFT)) as alone:
        *_, last = smoothed(alone.stream([bright, bright]), Smoothing(0.5, motion=False))
    (found,) = last.require().regions
    assert found.x + found.width == 32
