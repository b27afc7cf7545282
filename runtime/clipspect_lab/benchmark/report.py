"""What a benchmark answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipspect.host.machine import Machine
from clipspect_lab.benchmark.accuracy import MeasuredAccuracy

_FOR_P95, _FOR_P99 = 20, 100  # runs: with fewer the percentile would be the slowest run, or near it

STAGES = ("decode", "preprocess", "infer", "post")  # of an inspection
TOTAL = "total"  # of the stages
MAP = "map"  # the anomaly map in the frame's size, which is made when it is read, and in no total


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds an image; None where there were too few runs to say."""

    p50: float
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Percentiles:
        p50, p95, p99 = (float(value) for value in np.percentile(values, (50, 95, 99)))
        return cls(p50, p95 if len(values) >= _FOR_P95 else None, p99 if len(values) >= _FOR_P99 else None)


@dataclass(frozen=True)
class EngineRow:
    """One engine in one precision. In a batch, an image's time is the batch's divided by its images."""

    backend: str
    version: str
    device: str
    precision: str  # of the matrix products
    threads: int | None  # None: the engine's default
    batch: int
    runs: int
    stages: dict[str, Percentiles]  # STAGES, TOTAL and MAP
    images_per_second: float  # of a stream, decoding and all
    engine_images_per_second: float  # by the median of infer
    stream_share: float  # the first of the second
    gflops: float | None  # a second, of the graph's matrix products; None: the bundle does not say how many there are
    gemm_gflops: float | None  # a second, of large products through the same engine; None: it cannot run them
    gemm_share: float | None  # the first of the second
    gemm_problem: str | None  # why there are no large products
    gemm_target: float  # the share that is aimed at
    profile: dict[str, float]  # below the target: shares of the engine's time by kind of operator, the largest first
    accuracy: MeasuredAccuracy | None  # of the demo's weights alone; of others the shipped pictures say nothing
    cold_start_s: float  # from a process's start to its first verdict, files in the system's cache; median
    peak_memory_bytes: int | None  # of that process; None where the system does not say


@dataclass(frozen=True)
class BenchmarkReport:
    """What was measured, on what, and what could not be."""

    machine: Machine
    bundle: str
    method: str
    backbone: str
    recipe: str
    gflop: float  # of the graph's matrix products for one image
    width: int  # of the frame, a JPEG file
    height: int
    rows: tuple[EngineRow, ...]
    left_out: dict[str, str]  # installed engines, and their precisions, that do not run this bundle, and why
