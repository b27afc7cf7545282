"""From an ONNX file to an engine by TensorRT's parser and builder: strongly typed, watched, and ended by Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from clipspect.base.errors import BackendError
from clipspect.base.progress import Progress, quiet
from clipspect.engines.tensorrt.library import Library
from clipspect.engines.tensorrt.manifest import Ranges
from clipspect.engines.tensorrt.options import TENSORRT_RTX, TF32

_TICK = 0.2  # seconds between looks at the progress


def build_plan(
    library: Library,
    graph: Path,
    inputs: Ranges,
    precision: str,
    capabilities: Sequence[str] = (),
    progress: Progress = quiet,
) -> Any:
    """The engine's bytes, a buffer, for inputs of these shapes. Takes minutes for a large graph on a small GPU.

    The precision is the graph's own, but for "tf32". `capabilities`, e.g. "8.6", are what TensorRT-RTX builds for
    without a GPU; without them it is the GPU that is here. `progress` is told of TensorRT's phases, a share of the
    whole, in this thread. Raises BackendError.
    """
    monitor = _monitor(library.trt)

    def work() -> Any:
        return _build(library, graph, inputs, precision, capabilities, monitor)

    return _watched(work, monitor, progress)


def _build(
    library: Library, graph: Path, inputs: Ranges, precision: str, capabilities: Sequence[str], monitor: Any
) -> Any:
    trt = library.trt
    builder, network, _parser = parse(library, graph)
    config = builder.create_builder_config()
    if precision != TF32:
        config.clear_flag(trt.BuilderFlag.TF32)  # on by default
    if library.package == TENSORRT_RTX:
        _aim(library, config, capabilities)
    profile = builder.create_optimization_profile()
    for name, shapes in inputs.items():
        profile.set_shape(name, shapes.least, shapes.best, shapes.most)
    if config.add_optimization_profile(profile) < 0:
        raise BackendError(f"{library.package} does not take the shapes of {graph.name}: {library.complaint()}")
    config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError(f"{library.package} cannot build an engine of {graph.name}: {library.complaint()}")
    return plan


def parse(library: Library, graph: Path) -> tuple[Any, Any, Any]:
    """TensorRT's builder, the graph as its strongly typed network, and the parser, which must live as long as that.

    Raises BackendError.
    """
    trt = library.trt
    library.complaint()  # of before
    builder = trt.Builder(library.logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, library.logger)
    if not parser.parse_from_file(str(graph)):  # by its path, so that it finds weights in other files
        raise BackendError(f"{library.package} cannot load {graph.name}: {library.complaint()}")
    return builder, network, parser


def known_capabilities(library: Library) -> list[str]:
    """The compute capabilities that the package can build for without a GPU, e.g. "8.6"."""
    if library.package != TENSORRT_RTX:
        return []
    names = [name[2:] for name in library.trt.ComputeCapability.__members__ if name.startswith("SM")]
    return [f"{name[:-1]}.{name[-1]}" for name in names]


def _aim(library: Library, config: Any, capabilities: Sequence[str]) -> None:
    """TensorRT-RTX builds for any number of compute capabilities, or for that of the GPU here."""
    kinds = library.trt.ComputeCapability
    targets = [getattr(kinds, f"SM{name.replace('.', '')}") for name in capabilities] or [kinds.CURRENT]
    config.num_compute_capabilities = len(targets)
    if not all(config.set_compute_capability(target, index) for index, target in enumerate(targets)):
        raise BackendError(f"{library.package} does not build for {', '.join(capabilities)}: {library.complaint()}")


def _watched(work: Callable[[], Any], monitor: Any, progress: Progress) -> Any:
    """The work's answer. It runs in a thread of its own: an interrupt comes to the main thread, and raised in a call
    back from TensorRT, to its logger for one, it would be swallowed there."""
    with ThreadPoolExecutor(1, "clipspect-build") as pool:
        future = pool.submit(work)
        try:
            while not wait([future], _TICK).done:
                step, share = monitor.state()
                progress(step, share, 1)
            return future.result()
        finally:
            monitor.stop()  # for where we leave early; the builder ends after its step


def _monitor(trt: Any) -> Any:
    """TensorRT's phases, which lie inside each other, as one share of the whole."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._lock = threading.Lock()  # phases can run at once, in threads of TensorRT's
            self._stopped = False
            self._phases: dict[str, tuple[str | None, int, int]] = {}  # that run: parent, steps, steps done
            self._last, self._share = "starting", 0.0

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            with self._lock:
                self._phases[name] = (parent, steps, 0)
                self._last = name

        def step_complete(self, name: str, step: int) -> bool:
            with self._lock:
                if name in self._phases:
                    parent, steps, _ = self._phases[name]
                    self._phases[name] = (parent, steps, step + 1)
                self._share = max(self._share, self._of(None))
                return not self._stopped

        def phase_finish(self, name: str) -> None:
            with self._lock:
                self._phases.pop(name, None)

        def state(self) -> tuple[str, float]:
            with self._lock:
                return self._last, self._share

        def stop(self) -> None:
            with self._lock:
                self._stopped = True

        def _of(self, parent: str | None) -> float:
            """Of the phases inside another, the share of the one that is farthest."""
            inside = [
                (done + self._of(name)) / steps
                for name, (above, steps, done) in list(self._phases.items())
                if above == parent
            ]
            return min(max(inside, default=0.0), 1.0)

    return Monitor()
