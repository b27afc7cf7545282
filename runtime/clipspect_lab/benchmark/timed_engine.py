"""One engine, in one precision, in a benchmark: its inspections, its stream, its matrix products, its cold start."""

from __future__ import annotations

import statistics
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any

from clipspect.base.errors import BackendError
from clipspect.bundle.bundle import Bundle
from clipspect.engines import engine_named
from clipspect.engines.graph import INT8
from clipspect.inspection.load import load
from clipspect.recipes.recipe import Recipe
from clipspect_lab.benchmark.cold_start import ColdStart, start_cold
from clipspect_lab.benchmark.gemm_runs import GemmRuns
from clipspect_lab.benchmark.report import MAP, STAGES, TOTAL

_WARM_UPS = 2
_GEMM_SHARE = 0.1  # of the time; the products alternate with inspections
_FEWEST_GROUPS = 8  # batches of a stream


class TimedEngine:
    """A bundle in one engine. A context manager."""

    def __init__(
        self, bundle: Bundle, recipe: Recipe, backend: str, *, frame: Path, batch: int, options: dict[str, Any]
    ) -> None:
        """Load the engine; `frame` is the file that it will inspect, `batch` at once. Raises BackendError."""
        self.backend, self.frame, self.batch, self.options = backend, frame, batch, options
        self.bundle, self.recipe = bundle, recipe.name
        self.milliseconds: dict[str, list[float]] = {name: [] for name in (*STAGES, TOTAL, MAP)}
        self.inspector = load(bundle, recipe, backend, verdicts=False, **options)
        self.version = engine_named(backend).version or "of unknown version"
        self._spent = 0.0
        self._gemm: GemmRuns | None = None
        own = bundle.manifest.precision
        self._gemm_precision = INT8 if self.inspector.precision == INT8 else own  # of the yardstick's graph
        self.gemm_problem: str | None = None

    @property
    def name(self) -> str:
        """For people: the engine and what it computes in."""
        return f"{self.backend} {self.inspector.precision}"

    def warm_up(self) -> None:
        """Runs that are not counted; and the yardstick is opened."""
        for _ in range(_WARM_UPS):
            self.inspector.inspect_batch([self.frame] * self.batch)
        try:
            self._gemm = GemmRuns(self.backend, self._gemm_precision, self.frame.parent, self.options)
        except BackendError as error:
            self.gemm_problem = str(error)

    def inspect_once(self) -> float:
        """One batch, stage by stage; the seconds that it took."""
        start = perf_counter()
        frames = [self.inspector.prepare(self.frame) for _ in range(self.batch)]
        results = self.inspector.score(frames)
        scored = perf_counter()
        for result in results:
            _ = result.anomaly_map
        read = perf_counter()
        for name in (*STAGES, TOTAL):
            self.milliseconds[name].append(statistics.mean(getattr(result.timings, name) for result in results))
        self.milliseconds[MAP].append((read - scored) * 1e3 / self.batch)
        self._spent += read - start
        return read - start

    def multiply_when_due(self) -> None:
        """One run of the yardstick, when it had less than its share of the time."""
        if self._gemm is not None and self._gemm.spent <= _GEMM_SHARE * self._spent:
            self._gemm.run()

    def gemm_gflops(self) -> float | None:
        """Of large products, GFLOP a second; None where the engine cannot run them."""
        return None if self._gemm is None else self._gemm.gflops()

    def stream_rate(self, groups: int) -> float:
        """Images a second of a stream of so many batches, from the first one's end to the last one's."""
        frames = [self.frame] * (max(groups, _FEWEST_GROUPS) * self.batch)
        times = [perf_counter() for _ in self.inspector.stream(frames, self.batch)]
        return (len(times) - self.batch) / (times[-1] - times[self.batch - 1])

    def cold_start(self, starts: int) -> ColdStart:
        """Fresh processes, one after another: the median of their times, the largest of their memories."""
        found = [start_cold(self.bundle, self.recipe, self.backend, self.frame, self.options) for _ in range(starts)]
        peaks = [start.peak_bytes for start in found if start.peak_bytes is not None]
        return ColdStart(statistics.median(start.seconds for start in found), max(peaks, default=None))

    def __enter__(self) -> TimedEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._gemm is not None:
            self._gemm.close()
        self.inspector.close()
