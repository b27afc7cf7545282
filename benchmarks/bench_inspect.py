"""Where an inspection's time goes: the engine, everything around it, and the whole, on the demo bundle.

`make bench` runs it. Compare the rows of one run with each other, never with another machine's.
"""

from __future__ import annotations

from collections.abc import Iterator

import clipspect
import numpy as np
import numpy.typing as npt
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

THREADS = 2
BATCHES = (1, 4)


@pytest.fixture(scope="module")
def inspector() -> Iterator[clipspect.Inspector]:
    with clipspect.load("demo", threads=THREADS) as loaded:
        yield loaded


def frames(count: int, height: int, width: int) -> list[npt.NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


@pytest.mark.parametrize("batch", BATCHES)
def bench_whole_inspection_of_1280_x_1024_frames(
    benchmark: BenchmarkFixture, inspector: clipspect.Inspector, batch: int
) -> None:
    results = benchmark(inspector.inspect_batch, frames(batch, 1024, 1280))
    benchmark.extra_info["images_per_second"] = batch / benchmark.stats.stats.median
    assert len(results) == batch


@pytest.mark.parametrize("batch", BATCHES)
def bench_frames_of_the_model_size(benchmark: BenchmarkFixture, inspector: clipspect.Inspector, batch: int) -> None:
    results = benchmark(inspector.inspect_batch, frames(batch, 240, 240))
    benchmark.extra_info["images_per_second"] = batch / benchmark.stats.stats.median
    benchmark.extra_info["infer_ms"] = results[0].timings.infer
    assert len(results) == batch


def bench_decode_and_resize_of_a_1280_x_1024_frame(benchmark: BenchmarkFixture, inspector: clipspect.Inspector) -> None:
    frame = benchmark(inspector.prepare, frames(1, 1024, 1280)[0])
    assert frame.pixels.shape == (240, 240, 3)


def bench_load_of_the_bundle_until_the_engine_answers(benchmark: BenchmarkFixture) -> None:
    def load() -> None:
        clipspect.load("demo", threads=THREADS).close()

    benchmark.pedantic(load, rounds=5, warmup_rounds=1)
