"""While recipes that look at frames otherwise are switched, each frame is scored with the views of one of them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import clipspect
from clipspect.base.errors import ImageError
from clipspect.frame.item import Item
from clipspect.frame.region_of_interest import CROP, Area, RegionOfInterest
from clipspect.frame.tiling import Tiling
from clipspect.inspection.stream import outcomes_of
from clipspect.recipes.recipe import Recipe
from support import handmade

WIDTH, HEIGHT = 200, 140
CORNER = RegionOfInterest((WIDTH, HEIGHT), Area((((120, 20), (190, 20), (190, 110), (120, 110)),)), mode=CROP)


def picture(seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


LOOKS: tuple[Recipe, ...] = tuple(
    dataclasses.replace(handmade.make_recipe(f"look {place}"), **look)
    for place, look in enumerate((
        {},
        {"tiling": Tiling(size=(64, 64))},
        {"tiling": Tiling(grid=(3, 2), overlap=0)},
        {"region_of_interest": CORNER},
        {"region_of_interest": CORNER, "tiling": Tiling(size=(40, 40))},
    ))
)  # fmt: skip


@pytest.mark.parametrize("batch", [1, 3])
def test_no_frame_is_scored_with_views_of_another_recipe_whoever_switches_meanwhile(
    tiny_bundle: Path, tmp_path: Path, batch: int
) -> None:
    """Of arrays and files, prepared ahead, while another thread switches between recipes that look otherwise."""
    frames = [picture(seed) for seed in range(6)]
    files = [tmp_path / f"{place}.png" for place in range(len(frames))]
    for frame, file in zip(frames, files):
        Image.fromarray(frame).save(file)
    with clipspect.load(tiny_bundle, LOOKS[0], threads=2) as inspector, ThreadPoolExecutor(1) as pool:
        expected = {}
        for look in LOOKS:
            with inspector.with_recipe(look) as alone:
                expected[look.name] = [alone.inspect(frame) for frame in frames]
        over, wanted = threading.Event(), threading.Event()

        def switch() -> None:
            drawn = np.random.default_rng(batch)
            while not over.is_set():
                inspector.use_recipe(LOOKS[drawn.integers(len(LOOKS))])
                wanted.wait(timeout=0.002)
                wanted.clear()

        def items() -> Iterator[Item]:
            for number in range(120):
                place = number % len(frames)
                yield Item("camera", number, None, (frames, files)[number % 2][place])

        switched = pool.submit(switch)
        seen = set()
        try:
            for outcome in outcomes_of(inspector, items(), batch, keep_pictures=True):
                result, place = outcome.require(), outcome.item.number % len(frames)
                right = expected[result.recipe.name][place]
                assert result.score == right.score
                assert (result.map_box, result.quality) == (right.map_box, right.quality)
                np.testing.assert_array_equal(result.model_map, right.model_map)
                assert outcome.frame is not None
                np.testing.assert_array_equal(np.asarray(outcome.frame.image), frames[place])
                seen.add(result.recipe.name)
                wanted.set()
        finally:
            over.set()
        switched.result()
    assert len(seen) == len(LOOKS)


def test_a_file_that_is_gone_when_its_frame_must_be_prepared_again_is_its_own_error(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    for name in "ab":
        Image.fromarray(picture()).save(tmp_path / f"{name}.png")
    with clipspect.load(tiny_bundle, LOOKS[0]) as inspector:
        ready = [inspector.prepare(tmp_path / f"{name}.png") for name in "ab"]
        inspector.use_recipe(LOOKS[1])
        (tmp_path / "a.png").unlink()
        gone, there = inspector.answer(ready)
        assert isinstance(gone, ImageError)
        assert not isinstance(there, Exception)
        assert inspector.finish(there).score == inspector.inspect(picture()).score
