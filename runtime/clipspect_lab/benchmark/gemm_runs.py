"""Runs of the yardstick in one engine: as many products in a run as take about a third of a second."""

from __future__ import annotations

import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

from clipspect.base.errors import BackendError
from clipspect.base.installation import pip_install
from clipspect.engines import Backend, engine_named, open_backend
from clipspect_lab.benchmark.gemm import FLOPS, INPUTS, gemm_graph, most_products

_SECONDS = 0.3  # one run: long enough that its start does not count
_FEWEST_RUNS = 3


class GemmRuns:
    """The engine's own large products, and the times that they took. Close it."""

    def __init__(self, backend: str, precision: str, folder: Path, options: dict[str, Any]) -> None:
        """Writes the graphs into `folder`. Raises BackendError, also where the onnx package is not installed."""
        self._open_with = backend, precision, folder, options
        self._seconds: list[float] = []
        self.spent = 0.0
        self._products = 1
        self._backend = self._open(1)
        self.run()
        self.run()
        products = min(max(round(_SECONDS / self._seconds[-1]), 1), most_products(precision))
        if products > 1:
            self._backend.close()
            self._backend, self._products = self._open(products), products
            self.run()
        self._seconds, self.spent = [], 0.0

    def run(self) -> None:
        start = perf_counter()
        self._backend.run(INPUTS)
        self._seconds.append(perf_counter() - start)
        self.spent += self._seconds[-1]

    def gflops(self) -> float:
        """GFLOP a second, the median over the runs so far; a few are added where there are too few."""
        while len(self._seconds) < _FEWEST_RUNS:
            self.run()
        return self._products * FLOPS / statistics.median(self._seconds) / 1e9

    def close(self) -> None:
        self._backend.close()

    def _open(self, products: int) -> Backend:
        name, precision, folder, options = self._open_with
        path = folder / f"{name}-{options.get('precision', precision)}-{products}-products.onnx"
        try:
            path.write_bytes(gemm_graph(products, precision).SerializeToString())
        except ImportError as error:
            raise BackendError(
                f"the products are written with the onnx package ({error}): {pip_install('lab')}"
            ) from error
        own = {option: value for option, value in options.items() if option != "force_precision"}
        engine = engine_named(name)
        if engine.compiled:  # nothing is ever built at load: this yardstick is, into a cache that goes with it
            settings = engine.module().Options(**{**own, "cache": str(folder)})
            built: Backend = engine.module().open_built(path, precision, INPUTS, settings)
            return built
        return open_backend(name, path, graph_precision=precision, probe=INPUTS, **own)
