"""Which windows are encoded, proved over an encoder in NumPy whose embeddings are of the pixels that a window shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipspect.base.errors import BackendError
from clipspect.engines.backend import Backend
from clipspect.engines.graph import FEATURES, Signature
from clipspect.frame.prepare import prepare
from clipspect.frame.region_of_interest import Area, RegionOfInterest
from clipspect.frame.spec import ImageSpec
from clipspect.frame.views import Box
from clipspect.inspection.cascade import expected_work, lowest_limit
from clipspect.inspection.maps import to_source_size
from clipspect.inspection.window_reuse import KeptWindows
from clipspect.inspection.window_use import WindowMemory, judged_patches, patches_of, wants_windows
from clipspect.inspection.windows import PATCH_VALUES, WORK, WindowsEngine
from clipspect.recipes.on_demand import Cascade, OnDemand, Reuse
from clipspect.recipes.recipe import Recipe
from support import handmade

ROWS, COLUMNS, PATCH, SCALES, DIM = 5, 6, 4, (2, 3), 8
SPEC = ImageSpec(ROWS * PATCH, COLUMNS * PATCH)
GRAPH = replace(handmade.make_windows_graph(), grid=(ROWS, COLUMNS), scales=SCALES)
_MIX = np.random.default_rng(7).normal(size=(3 * PATCH * PATCH, DIM)).astype(np.float32)


class PixelEncoder(Backend):
    """The embedding of a group is a function of the pixels of its patches; it counts what it is asked for."""

    name = "pixels"

    def __init__(self) -> None:
        super().__init__(Signature({}, {}), None, device="cpu", precision="fp32")
        self.asked: list[int] = []

    def run(self, inputs: Any, outputs: Sequence[str] | None = None) -> dict[str, npt.NDArray[Any]]:
        pixels = inputs["image"]
        patches = np.concatenate([self.tokens(image) for image in pixels])  # (N * (1 + L), DIM)
        answer = {"image_embedding": unit(np.stack([self.tokens(image).mean(axis=0) for image in pixels]))}
        for scale in SCALES:
            chosen = inputs[f"windows_{scale}"]
            answer[f"embeddings_{scale}"] = unit(patches[chosen].mean(axis=1))
        self.asked.append(sum(len(inputs[f"windows_{scale}"]) for scale in SCALES))
        answer[FEATURES + "patches"] = unit(patches).reshape(len(pixels), -1, DIM)[:, 1:]
        return {name: answer[name] for name in outputs or answer}

    @staticmethod
    def tokens(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        cut = image.reshape(ROWS, PATCH, COLUMNS, PATCH, 3).swapaxes(1, 2).reshape(ROWS * COLUMNS, -1)
        return np.concatenate([np.ones((1, DIM), np.float32), (cut.astype(np.float32) / 255 - 0.5) @ _MIX])

    def _run(self, inputs: Any, outputs: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
        raise AssertionError

    def _close(self) -> None: ...


def unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def recipe(seed: int = 0, **changes: Any) -> Recipe:
    text = np.random.default_rng(seed).normal(size=(2, 2, DIM)).astype(np.float32)
    return Recipe("nut", "winclip", "nut", "0" * 64, {"text_features": text}, **changes)


def picture(seed: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (SPEC.height, SPEC.width, 3), dtype=np.uint8)


def maps(engine: WindowsEngine, pixels: npt.NDArray[np.uint8], own: Recipe, **use: Any) -> npt.NDArray[np.float32]:
    return engine.on_demand(pixels, own, ["anomaly_map"], **use)["anomaly_map"]


@pytest.fixture
def engine() -> WindowsEngine:
    return WindowsEngine(PixelEncoder(), GRAPH, SPEC)


@given(st.data())
@settings(max_examples=40)
def test_inside_a_region_the_map_is_that_of_all_windows(data: st.DataObject) -> None:
    """In frames of any size, whole or as a crop of them; the rest of the map counts for nothing."""
    engine = WindowsEngine(PixelEncoder(), GRAPH, SPEC)
    width, height = data.draw(st.integers(6, 80)), data.draw(st.integers(6, 80))
    corners = [(data.draw(st.integers(0, width)), data.draw(st.integers(0, height))) for _ in range(4)]
    region = RegionOfInterest((width, height), Area(polygons=(tuple(corners),)))
    if not region.drawn.any():
        return
    crop = data.draw(st.sampled_from([Box(0, 0, width, height), region.box(width, height)]))
    pixels = picture(data.draw(st.integers(0, 9)))[None]
    needed = judged_patches(region, engine.layout, width, height, crop)
    full, found = maps(engine, pixels, recipe()), maps(engine, pixels, recipe(), needed=needed)
    judged = region.mask(width, height)[crop.top : crop.bottom, crop.left : crop.right]
    expected, own = (to_source_size(values[0], *crop.size)[judged] for values in (full, found))
    np.testing.assert_allclose(own, expected, atol=1e-6)


def test_a_small_region_asks_for_its_windows_and_a_ring(engine: WindowsEngine) -> None:
    region = RegionOfInterest((SPEC.width, SPEC.height), Area(polygons=(((9, 9), (11, 9), (11, 11), (9, 11)),)))
    needed = judged_patches(region, engine.layout, SPEC.width, SPEC.height, Box(0, 0, SPEC.width, SPEC.height))
    assert np.argwhere(needed[0]).min(axis=0).tolist() == [1, 1]
    assert np.argwhere(needed[0]).max(axis=0).tolist() == [3, 3]
    work = engine.on_demand(picture(0)[None], recipe(), [WORK], needed)[WORK]
    assert 0 < work[0] < 1


def test_which_patches_are_judged_is_found_once_for_frames_of_a_size_and_anew_for_another_region(
    engine: WindowsEngine,
) -> None:
    memory, size = WindowMemory(), (SPEC.width, SPEC.height)
    corner = RegionOfInterest(size, Area(polygons=(((0, 0), (5, 0), (5, 5), (0, 5)),)))
    middle = RegionOfInterest(size, Area(polygons=(((9, 9), (11, 9), (11, 11), (9, 11)),)))
    frames = [prepare(np.zeros((times * SPEC.height, times * SPEC.width, 3), np.uint8), SPEC) for times in (1, 3, 1)]
    for region in (corner, middle, corner):
        found = memory.of(frames, recipe(region_of_interest=region)).needed(engine.layout)
        np.testing.assert_array_equal(found, np.concatenate([patches_of(own, region, engine.layout) for own in frames]))
        one, _, same = (memory.patches(own, region, engine.layout) for own in frames)
        assert one is same


@given(st.integers(0, 20), st.floats(0, 1))
@settings(max_examples=40)
def test_a_cascade_is_exact_where_it_is_over_its_limit(seed: int, share: float) -> None:
    engine = WindowsEngine(PixelEncoder(), GRAPH, SPEC)
    pixels = np.stack([picture(seed), picture(seed + 1)])
    coarse = engine.on_demand(pixels, cascade(np.inf), [PATCH_VALUES, WORK])
    limit = float(np.quantile(coarse[PATCH_VALUES], share))
    found = engine.on_demand(pixels, cascade(limit), [PATCH_VALUES, WORK, "score"])
    full = engine.on_demand(pixels, recipe(), [PATCH_VALUES, WORK, "score"])
    over = engine.layout.around(coarse[PATCH_VALUES].astype(np.float64) > limit)
    np.testing.assert_allclose(found[PATCH_VALUES][over], full[PATCH_VALUES][over], atol=1e-6)
    np.testing.assert_array_equal(found["score"], full["score"])
    assert found[WORK].mean() == pytest.approx(expected_work(engine.layout, coarse[PATCH_VALUES], 2, limit))
    np.testing.assert_array_equal(full[WORK], 1)
    region = np.zeros((2, ROWS, COLUMNS), bool)
    region[:, 1:3, 2:5] = True
    inside = engine.on_demand(pixels, cascade(limit), [PATCH_VALUES, WORK], region)
    values = engine.on_demand(pixels, cascade(np.inf), [PATCH_VALUES], region)[PATCH_VALUES]
    assert inside[WORK].mean() == pytest.approx(expected_work(engine.layout, values, 2, limit, region))


def test_whoever_explains_a_map_sees_every_window_and_the_map_stays(engine: WindowsEngine) -> None:
    pixels, rows = picture(3)[None], "features_windows_2"
    every = engine.on_demand(pixels, recipe(), [rows])[rows]
    assert np.linalg.norm(every, axis=-1) == pytest.approx(1, abs=1e-6)
    own = cascade(0.5)
    found = engine.on_demand(pixels, own, ["anomaly_map", rows])
    np.testing.assert_allclose(found[rows], every, atol=1e-6)
    np.testing.assert_array_equal(found["anomaly_map"], maps(engine, pixels, own))


def cascade(limit: float) -> Recipe:
    return recipe(windows=OnDemand(Cascade(limit)))


def test_a_cascade_under_every_value_is_all_windows_and_over_them_those_apart(engine: WindowsEngine) -> None:
    pixels = picture(3)[None]
    np.testing.assert_allclose(maps(engine, pixels, cascade(-1.0)), maps(engine, pixels, recipe()), atol=1e-6)
    strided = WindowsEngine(PixelEncoder(), replace(GRAPH, stride=2), SPEC)
    np.testing.assert_allclose(maps(engine, pixels, cascade(2.0)), maps(strided, pixels, recipe()), atol=1e-6)


@given(st.integers(0, 50), st.floats(0.2, 1.4), st.booleans())
def test_the_calibrated_limit_is_the_lowest_that_keeps_to_the_work(seed: int, work: float, region: bool) -> None:
    layout = WindowsEngine(PixelEncoder(), GRAPH, SPEC).layout
    values = np.random.default_rng(seed).random((3, ROWS, COLUMNS)).astype(np.float32)
    needed = np.zeros((3, ROWS, COLUMNS), bool) if region else None
    if needed is not None:
        needed[:, 1:3, 2:4] = True
        values[~needed] = 0
    limit = lowest_limit(layout, list(values), 2, work, needed)
    least = expected_work(layout, values, 2, np.inf, needed)
    assert expected_work(layout, values, 2, limit, needed) <= max(work, least)
    lower = values[values < limit]
    if lower.size and least <= work:
        assert expected_work(layout, values, 2, float(lower.max()), needed) > work


@given(st.data())
@settings(max_examples=40)
def test_no_window_is_ever_stale(data: st.DataObject) -> None:
    """Whatever comes: two cameras over one inspector, frames of other sizes, switched recipes, regions, frames that
    were dropped. With tolerance 0 the map is that of all windows; else every embedding is of pixels within the
    tolerance of the frame's.
    """
    tolerance = data.draw(st.sampled_from([0, 0, 3]))
    engine, memory = WindowsEngine(PixelEncoder(), GRAPH, SPEC), WindowMemory()
    reuse = OnDemand(reuse=Reuse(tolerance, refresh=data.draw(st.integers(1, 6))))
    cameras = [picture(seed) for seed in range(2)]
    region = RegionOfInterest((48, 40), Area(polygons=(((0, 0), (20, 0), (20, 20), (0, 20)),)))
    for _ in range(data.draw(st.integers(1, 12))):
        camera = data.draw(st.integers(0, 1))
        row, column = data.draw(st.integers(0, SPEC.height - 1)), data.draw(st.integers(0, SPEC.width - 1))
        cameras[camera] = cameras[camera].copy()
        cameras[camera][row : row + 3, column : column + 3] ^= np.uint8(data.draw(st.sampled_from([0, 1, 2, 255])))
        source = cameras[camera]
        if data.draw(st.booleans()):  # another size of frame: the model sees other pixels
            source = source.repeat(2, axis=0).repeat(2, axis=1)
        own = recipe(data.draw(st.integers(0, 1)), windows=data.draw(st.sampled_from([reuse, reuse, None])))
        if data.draw(st.booleans()):
            own = replace(own, region_of_interest=region)
        frame = prepare(source, SPEC)
        use, layout = memory.of([frame], own), engine.layout
        needed, kept, names = use.needed(layout), use.kept(layout), ["anomaly_map", "image_embedding"]
        found = engine.on_demand(frame.pixels, own, names, needed, kept)
        exact = engine.on_demand(frame.pixels, replace(own, windows=None), names, needed)
        if tolerance == 0:
            for name in names:
                np.testing.assert_allclose(found[name], exact[name], atol=1e-6)
        if kept is not None:
            asked = layout.all(1) if needed is None else layout.covering(needed)
            assert kept.largest_move(frame.pixels[0], asked) <= tolerance


def test_a_still_camera_asks_for_nothing_until_everything_is_refreshed(engine: WindowsEngine) -> None:
    own, memory, frame = recipe(windows=OnDemand(reuse=Reuse(refresh=3))), WindowMemory(), prepare(picture(1), SPEC)
    work = []
    for _ in range(7):
        kept = memory.of([frame], own).kept(engine.layout)
        work.append(float(engine.on_demand(frame.pixels, own, [WORK], None, kept)[WORK][0]))
    assert work == [1, 0, 0, 1, 0, 0, 1]


def test_an_answer_that_is_no_number_is_not_kept_for_the_next_frames(engine: WindowsEngine) -> None:
    own, pixels, work = recipe(windows=OnDemand(reuse=Reuse())), picture(1)[None], []
    kept = KeptWindows(engine.layout, Reuse())
    right = engine.backend.run
    for fails in (False, True, False, False):
        pixels = pixels ^ np.uint8(fails)  # another frame, so that it is encoded
        engine.backend.run = (lambda *given: broken(right(*given))) if fails else right  # type: ignore[method-assign]
        found = engine.on_demand(pixels, own, [PATCH_VALUES, WORK], None, kept)
        assert np.isfinite(found[PATCH_VALUES]).all() != fails
        work.append(float(found[WORK][0]))
    assert work == [1, 1, 1, 0]
    np.testing.assert_array_equal(found[PATCH_VALUES], engine.on_demand(pixels, recipe(), [PATCH_VALUES])[PATCH_VALUES])


def broken(answer: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """What an engine that fails once can answer: one window that is no number."""
    rows = answer["embeddings_2"].copy()
    rows[3] = np.nan
    return {**answer, "embeddings_2": rows}


def test_what_drifts_slowly_is_encoded_again(engine: WindowsEngine) -> None:
    """By one grey level a frame: compared with the frame before, nothing would ever have moved."""
    own, memory = recipe(windows=OnDemand(reuse=Reuse(tolerance=3, refresh=100))), WindowMemory()
    work = []
    for step in range(9):
        frame = prepare(np.full((SPEC.height, SPEC.width, 3), 100 + step, np.uint8), SPEC)
        kept = memory.of([frame], own).kept(engine.layout)
        work.append(float(engine.on_demand(frame.pixels, own, [WORK], None, kept)[WORK][0]))
    assert work == [1, 0, 0, 0, 1, 0, 0, 0, 1]


def test_a_recipe_that_needs_windows_is_refused_where_there_are_none(tiny_bundle: Any) -> None:
    from clipspect.bundle.bundle import Bundle

    bundle = Bundle.open(tiny_bundle)
    with pytest.raises(BackendError, match="export it with --windows"):
        wants_windows(bundle, cascade(0.5), None, "cpu", None)
    with pytest.raises(BackendError, match="leave windows=False out"):
        wants_windows(bundle, cascade(0.5), None, "cpu", False)
    bundle = replace(bundle, manifest=replace(bundle.manifest, windows=replace(GRAPH, multi_crop=True)))
    with pytest.raises(BackendError, match="the score of this bundle reads all of them"):
        wants_windows(bundle, cascade(0.5), None, "cpu", None)
    bundle = replace(bundle, manifest=replace(bundle.manifest, windows=replace(GRAPH, stride=2)))
    with pytest.raises(BackendError, match="it needs windows 1 apart"):
        wants_windows(bundle, cascade(0.5), None, "cpu", None)
    with pytest.raises(BackendError, match="need an engine on the CPU, found tensorrt on cuda"):
        wants_windows(bundle, cascade(0.5), "tensorrt", "cuda", None)
