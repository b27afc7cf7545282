"""Where an inspection's time goes: the engine, everything around it, and the whole, on the demo bundle.

`make bench` runs it. Compare the rows of one run with each other, never with another machine's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

import clipspect
from clipspect.inspection.answer import Answer
from clipspect.inspection.maps import to_source_size

THREADS = 2
BATCHES = (1, 4)
STREAM = 24  # frames of a stream
WIDTH, HEIGHT = 1280, 1024
FRAMES = ("rgb", "bgr", "grey")


@pytest.fixture(scope="module")
def inspector() -> Iterator[clipspect.Inspector]:
    with clipspect.load("demo", backend="onnxruntime", threads=THREADS) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """JPEG files as a camera writes them: smooth, with some noise."""
    root, rng = tmp_path_factory.mktemp("frames"), np.random.default_rng(0)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    surface = 128 + 60 * np.sin(columns / 90) * np.cos(rows / 70)
    paths = [root / f"{number}.jpg" for number in range(STREAM)]
    for path in paths:
        noisy = surface[..., None] + rng.normal(0, 4, (HEIGHT, WIDTH, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return paths


def frames(count: int, height: int, width: int) -> list[npt.NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


def smooth_map(side: int = 240, cells: int = 15) -> npt.NDArray[np.float32]:
    """As the methods' maps are: interpolated from a grid, 0 to 1."""
    grid = np.random.default_rng(0).random((cells, cells), dtype=np.float32)
    return np.asarray(Image.fromarray(grid).resize((side, side), Image.Resampling.BILINEAR)).copy()


@pytest.mark.parametrize("batch", BATCHES)
def bench_whole_inspection_of_1280_x_1024_frames(
    benchmark: BenchmarkFixture, inspector: clipspect.Inspector, batch: int
) -> None:
    results = benchmark(inspector.inspect_batch, frames(batch, HEIGHT, WIDTH))
    benchmark.extra_info["images_per_second"] = batch / benchmark.stats.stats.median
    assert len(results) == batch


@pytest.mark.parametrize("batch", BATCHES)
def bench_frames_of_the_model_size(benchmark: BenchmarkFixture, inspector: clipspect.Inspector, batch: int) -> None:
    results = benchmark(inspector.inspect_batch, frames(batch, 240, 240))
    benchmark.extra_info["images_per_second"] = batch / benchmark.stats.stats.median
    benchmark.extra_info["infer_ms"] = results[0].timings.infer
    assert len(results) == batch


@pytest.mark.parametrize("kind", FRAMES)
def bench_resize_of_a_1280_x_1024_frame(benchmark: BenchmarkFixture, inspector: clipspect.Inspector, kind: str) -> None:
    rgb = frames(1, HEIGHT, WIDTH)[0]
    array = {"rgb": rgb, "bgr": rgb[..., ::-1], "grey": np.ascontiguousarray(rgb[..., 0])}[kind]
    frame = benchmark(inspector.prepare, array)
    assert frame.pixels.shape == (1, 240, 240, 3)


@pytest.mark.parametrize("limit", [2.0, 0.9, 0.5, -1.0], ids=["nothing over", "spots", "half", "all over"])
def bench_regions_of_a_1280_x_1024_frame(
    benchmark: BenchmarkFixture, inspector: clipspect.Inspector, limit: float
) -> None:
    frame = inspector.prepare(frames(1, HEIGHT, WIDTH)[0])
    result = benchmark(inspector.finish, frame, Answer(0.5, smooth_map(), 0.0, inspector.recipe, limit))
    assert bool(result.regions) == (limit < 1)


def bench_the_map_in_the_size_of_a_1280_x_1024_frame(benchmark: BenchmarkFixture) -> None:
    anomaly_map = benchmark(to_source_size, smooth_map(), WIDTH, HEIGHT)
    assert anomaly_map.shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("batch", BATCHES)
def bench_stream_of_1280_x_1024_jpeg_files(
    benchmark: BenchmarkFixture, inspector: clipspect.Inspector, folder: list[Path], batch: int
) -> None:
    results = benchmark.pedantic(lambda: list(inspector.stream(folder, batch)), rounds=5, warmup_rounds=1)
    benchmark.extra_info["images_per_second"] = STREAM / benchmark.stats.stats.median
    assert len(results) == STREAM


def bench_engine_alone_on_as_many_frames_as_the_stream(
    benchmark: BenchmarkFixture, inspector: clipspect.Inspector, folder: list[Path]
) -> None:
    ready = [inspector.prepare(path) for path in folder]
    benchmark.pedantic(lambda: [inspector.answer([frame]) for frame in ready], rounds=5, warmup_rounds=1)
    benchmark.extra_info["images_per_second"] = STREAM / benchmark.stats.stats.median


def bench_load_of_the_bundle_until_the_engine_answers(benchmark: BenchmarkFixture) -> None:
    blank = np.zeros((240, 240, 3), np.uint8)

    def load() -> None:
        with clipspect.load("demo", backend="onnxruntime", threads=THREADS) as loaded:
            loaded.inspect(blank)

    benchmark.pedantic(load, rounds=5, warmup_rounds=1)
