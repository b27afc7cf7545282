"""`measure`: every engine inspects the same frame, in turns, and what each took becomes a row of the report."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clipspect.base.errors import BackendError, ClipspectError
from clipspect.base.progress import Progress, quiet
from clipspect.base.temporary import temporary_folder
from clipspect.bundle.bundle import Bundle
from clipspect.engines import CPU, registry
from clipspect.engines.graph import BF16, FP32, INT8
from clipspect.host.machine import read_machine
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.shelf import open_recipe, serving
from clipspect_lab.benchmark.accuracy import has_accuracy, measure_accuracy
from clipspect_lab.benchmark.profile import shares_of_time, target
from clipspect_lab.benchmark.report import BenchmarkReport, EngineRow, Percentiles
from clipspect_lab.benchmark.timed_engine import TimedEngine

DEFAULT_SIZE = (1280, 1024)
DEFAULT_SECONDS = 20.0
_FEWEST_ROUNDS = 5
_STREAM_SECONDS, _MOST_GROUPS = 0.3, 200  # of a stream: this share of an engine's seconds, on top; batches
_STARTS = 3
_QUALITY = 90  # of the frame's JPEG file


def measure(
    bundle: str | os.PathLike[str],
    recipe: str | None = None,
    backends: Sequence[str] | None = None,
    *,
    batch: int = 1,
    size: tuple[int, int] = DEFAULT_SIZE,
    seconds: float = DEFAULT_SECONDS,
    runs: int | None = None,
    options: Mapping[str, Any] | None = None,
    require_signature: str | os.PathLike[str] | None = None,
    progress: Progress = quiet,
) -> BenchmarkReport:
    """Time every installed engine that works, or the named ones, on a drawn frame of `size` (width, height).

    An engine has a row for each precision that it and the bundle have, unless `options` name one. Each has `seconds`
    and at least five runs, or exactly `runs`; a stream, matrix products and cold starts come on top, for the demo's
    weights their accuracy, and where the share of GEMM is low a profile. `options` are the engines', e.g.
    {"threads": 2}; `require_signature` is that of `load`. `progress` is told the share that is done.
    Raises ClipspectError for what cannot be measured, and what `load` raises.
    """
    counts = {"batch": batch, "width": size[0], "height": size[1], "runs": 1 if runs is None else runs}
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ClipspectError(f"{name}: expected a number from 1, found {value!r}")
    machine = read_machine()  # before the machine is busy with this
    opened = Bundle.open(bundle, require_signature=require_signature)
    chosen = open_recipe(opened, recipe)
    flops = serving(opened, chosen).flops
    with contextlib.ExitStack() as stack:
        frame = _draw_frame(stack.enter_context(temporary_folder()) / "frame.jpg", size)

        def load(name: str, precision: str | None) -> TimedEngine:
            progress(f"loading into {name}" + (f" in {precision}" if precision else ""), 0.0, 1)
            chosen_options = {**(options or {}), **({"precision": precision} if precision else {})}
            return TimedEngine(opened, chosen, name, frame=frame, batch=batch, options=chosen_options)

        engines, left_out = _load(load, backends, _further_precisions(opened, options or {}), stack)
        _take_turns(engines, seconds, runs, progress)
        rows = []
        for index, engine in enumerate(engines):
            progress(f"a stream through {engine.name}, and cold starts", 0.7 + 0.3 * index / len(engines), 1)
            rows.append(_row(engine, opened, chosen, seconds, runs))
    return BenchmarkReport(
        machine=machine,
        bundle=os.fspath(bundle),
        method=opened.manifest.method,
        backbone=opened.manifest.backbone.name,
        recipe=chosen.name,
        gflop=flops / 1e9,
        width=size[0],
        height=size[1],
        rows=tuple(rows),
        left_out=left_out,
    )


def _further_precisions(bundle: Bundle, options: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
    """By engine, what else than the bundle's own it may compute in on this device, unless one was asked for."""
    if "precision" in options or options.get("device", CPU) != CPU or bundle.manifest.precision != FP32:
        return {}
    int8 = (INT8,) if bundle.manifest.int8 is not None else ()
    return {"onnxruntime": int8, "openvino": (BF16, *int8)}


def _load(
    load: Callable[[str, str | None], TimedEngine],
    names: Sequence[str] | None,
    further: Mapping[str, Sequence[str]],
    stack: contextlib.ExitStack,
) -> tuple[list[TimedEngine], dict[str, str]]:
    """The engines that run this bundle in each precision; the reasons of those that do not.

    An engine that was named must run it, in the bundle's own precision or the one that was asked for.
    """
    engines, left_out = [], {}
    installed = [engine.name for engine in registry() if engine.installed and not engine.remote]
    for name in installed if names is None else dict.fromkeys(names):
        for precision in (None, *further.get(name, ())):
            try:
                engines.append(stack.enter_context(load(name, precision)))
            except BackendError as error:
                if names is not None and precision is None:
                    raise
                left_out[f"{name} {precision}" if precision else name] = str(error)
    if not engines:
        raise BackendError("; ".join(left_out.values()) or "no inference engine is installed: run clipspect doctor")
    return engines, left_out


def _take_turns(engines: list[TimedEngine], seconds: float, runs: int | None, progress: Progress) -> None:
    for engine in engines:
        progress(f"warming up {engine.name}", 0.0, 1)
        engine.warm_up()
    budget, spent, rounds = seconds * len(engines), 0.0, 0
    while rounds < runs if runs is not None else rounds < _FEWEST_ROUNDS or spent < budget:
        for engine in engines:
            spent += engine.inspect_once()
            engine.multiply_when_due()
        rounds += 1
        done = rounds / runs if runs is not None else spent / budget
        progress(f"{', '.join(engine.name for engine in engines)} in turns", 0.7 * min(done, 1.0), 1)


def _row(engine: TimedEngine, bundle: Bundle, recipe: Recipe, seconds: float, runs: int | None) -> EngineRow:
    stages = {name: Percentiles.of(values) for name, values in engine.milliseconds.items()}
    own_rate = 1e3 / stages["infer"].p50
    in_time = round(seconds * _STREAM_SECONDS * own_rate / engine.batch)
    rate = engine.stream_rate(min(in_time, _MOST_GROUPS) if runs is None else runs)
    flops = serving(bundle, recipe).flops
    gflops = flops * own_rate / 1e9 if flops else None
    gemm = engine.gemm_gflops()
    share = gflops / gemm if gflops and gemm else None
    precision = engine.inspector.precision
    below = share is not None and share < target(precision)
    start = engine.cold_start(_STARTS)
    return EngineRow(
        backend=engine.backend,
        version=engine.version,
        device=engine.inspector.device,
        precision=precision,
        threads=engine.options.get("threads"),
        batch=engine.batch,
        runs=len(engine.milliseconds["infer"]),
        stages=stages,
        images_per_second=rate,
        engine_images_per_second=own_rate,
        stream_share=rate / own_rate,
        gflops=gflops,
        gemm_gflops=gemm,
        gemm_share=share,
        gemm_problem=engine.gemm_problem,
        gemm_target=target(precision),
        profile=shares_of_time(bundle, recipe, engine.backend, engine.batch, engine.options) if below else {},
        accuracy=measure_accuracy(engine.inspector) if has_accuracy(bundle) else None,
        cold_start_s=start.seconds,
        peak_memory_bytes=start.peak_bytes,
    )


def _draw_frame(path: Path, size: tuple[int, int]) -> Path:
    """A JPEG file as a camera writes it: a surface, a part with an edge, some noise."""
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    surface = 110 + 60 * np.sin(columns / width * 9) * np.cos(rows / height * 7)
    surface[np.hypot(columns - width / 2, rows - height / 2) < min(size) / 3] += 50
    colours = surface[..., None] + np.array([0, 8, -12], np.float32)
    noise = np.random.default_rng(0).normal(0, 4, colours.shape)
    Image.fromarray((colours + noise).clip(0, 255).astype(np.uint8)).save(path, quality=_QUALITY)
    return path
