"""A frame of 24 megapixels with a defect of 20 pixels: found with tiles, in bounded memory, without seams."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import clipspect
from clipspect.bundle.bundle import Bundle
from clipspect.frame.tiling import Tiling
from clipspect.frame.views import Box
from clipspect.recipes.recipe import Recipe, write_recipe
from clipspect.recipes.shelf import open_recipe
from support.measured import run_command

WIDTH, HEIGHT = 6000, 4000
DEFECT = (3390, 2210, 3409, 2229)  # first and last pixels, of 20 x 20
MOST_BYTES = 1500 << 20


def drawn(width: int, height: int, defect: tuple[int, int, int, int] | None) -> Image.Image:
    """A grey surface with soft clouds, and perhaps a dark spot."""
    clouds = np.random.default_rng(0).integers(0, 256, (height // 40, width // 40), np.uint8)
    soft = Image.fromarray(clouds).resize((width, height), Image.Resampling.BICUBIC)
    surface = Image.blend(Image.new("L", (width, height), 150), soft, 0.12).convert("RGB")
    if defect is not None:
        ImageDraw.Draw(surface).ellipse(defect, fill=(30, 25, 25))
    return surface


def tiled(name: str, tiling: Tiling | None) -> Recipe:
    """The demo's own recipe, in tiles."""
    return dataclasses.replace(open_recipe(Bundle.open("demo")), name=name, tiling=tiling)


@pytest.mark.slow
def test_a_small_defect_in_24_megapixels_is_found_drawn_and_reported_in_bounded_memory(tmp_path: Path) -> None:
    drawn(WIDTH, HEIGHT, DEFECT).save(tmp_path / "frame.png", compress_level=1)
    found = {}
    for name, tiling in (("whole", None), ("tiles", Tiling(size=(960, 960)))):
        write_recipe(tmp_path / f"{name}.safetensors", tiled(name, tiling))
        command = ["run", "demo", tmp_path / "frame.png", "--json", "--backend", "onnxruntime"]
        command += ["--recipe", tmp_path / f"{name}.safetensors"]
        command += ["--out", tmp_path / name, "--report", tmp_path / f"{name}.html"]
        done = run_command(*command)
        assert done.peak_bytes < MOST_BYTES
        found[name] = json.loads(done.output)
        print(name, done.peak_bytes >> 20, "MiB,", found[name]["score"], found[name]["timings_ms"])
    assert found["whole"]["score"] < 0.1
    assert found["whole"]["regions"] == []
    assert "shrunk 25 times" in found["whole"]["notes"][0]
    assert found["tiles"]["score"] > 0.9
    assert found["tiles"]["notes"] == []
    region = found["tiles"]["regions"][0]
    middle = (DEFECT[0] + DEFECT[2]) / 2, (DEFECT[1] + DEFECT[3]) / 2
    assert np.hypot(*(np.array(region["centroid"]) - middle)) < 60, "a patch of the model covers 64 pixels"
    with Image.open(next((tmp_path / "tiles" / "overlays").iterdir())) as overlay:
        assert max(overlay.size) < 2000
    assert (tmp_path / "tiles.html").stat().st_size < 1 << 20


def test_no_seam_is_seen_where_tiles_of_a_real_model_meet() -> None:
    """The map's steps across the borders of tiles are like those inside of tiles, of a good part and of a defect."""
    width, height, tiling = 1200, 800, Tiling(size=(480, 480))
    with clipspect.load("demo", tiled("tiles", tiling), "onnxruntime") as inspector:
        for defect in (None, (590, 395, 615, 420)):
            result = inspector.inspect(np.asarray(drawn(width, height, defect)))
            boxes = [view.crop for view in tiling.views(Box(0, 0, width, height))]
            for axis, length in ((1, width), (0, height)):
                steps = np.abs(np.diff(result.model_map, axis=axis))
                scale = length / result.model_map.shape[axis]
                sides = {side for box in boxes for side in ((box.left, box.right), (box.top, box.bottom))[1 - axis]}
                borders = [round(side / scale) - 1 for side in sides if 0 < side < length]
                across, inside = np.take(steps, borders, axis), np.delete(steps, borders, axis)
                print(defect, axis, across.mean(), inside.mean(), across.max(), inside.max())
                assert across.mean() < 1.5 * inside.mean()
                assert across.max() <= inside.max()
