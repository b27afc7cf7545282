"""A compiled engine, loaded: the one that was built of this graph, for this device and by this TensorRT, or none."""

from __future__ import annotations

import shlex
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy.typing as npt

from clipspect.base.errors import BackendError
from clipspect.engines.engine import Probe, Tensors
from clipspect.engines.graph import IMAGE, TEXT_FEATURES
from clipspect.engines.tensorrt import cuda, store
from clipspect.engines.tensorrt.compile import compile_graph, facts_of
from clipspect.engines.tensorrt.execution import Execution
from clipspect.engines.tensorrt.library import Library, library
from clipspect.engines.tensorrt.manifest import EngineManifest, Facts, Range
from clipspect.engines.tensorrt.options import CUDA, Options

NAME = "tensorrt"


class Session:
    """A graph on the GPU."""

    name = NAME
    device = CUDA
    reason = ""

    def __init__(self, execution: Execution, manifest: EngineManifest, graph: Path, options: Options) -> None:
        self.precision = manifest.facts.precision
        self.most_images = _batch(manifest)
        self._inputs, self._graph, self._options = manifest.inputs, graph, options
        self._execution: Execution | None = execution

    def run(self, inputs: Tensors) -> dict[str, npt.NDArray[Any]]:
        """The graph's outputs by name. Raises BackendError."""
        if self._execution is None:
            raise BackendError(f"the {NAME} backend is closed: load the bundle again")
        self._check(inputs, self._execution)
        try:
            return self._execution.run(inputs)
        except BackendError as error:
            raise BackendError(f"{NAME} failed on {self.device}: {error}") from error

    def _check(self, inputs: Tensors, execution: Execution) -> None:
        if sorted(inputs) != sorted(self._inputs):
            raise BackendError(f"the graph takes {', '.join(sorted(self._inputs))}, found {', '.join(sorted(inputs))}")
        for name, array in inputs.items():
            if array.dtype != execution.dtypes[name]:
                raise BackendError(f"the graph takes {name} as {execution.dtypes[name]}, found {array.dtype}")
            if not self._inputs[name].holds(array.shape):
                raise BackendError(
                    f"the {NAME} engine takes {name} as {self._inputs[name]}, found {' x '.join(map(str, array.shape))}"
                    f": {self._remedy(name, array.shape)}"
                )

    def _remedy(self, name: str, shape: tuple[int, ...]) -> str:
        """The command that compiles an engine for this input, too."""
        batch = shape[0] if name == IMAGE else self.most_images
        more = {IMAGE: "", TEXT_FEATURES: f" --prompts {shape[1:2][0]}"}.get(name, " --references MORE")
        return command(self._graph, self._options, batch) + more

    def profile(self) -> dict[str, float]:
        """Raises BackendError: TensorRT fuses a whole graph into a few kernels, which are no operators any more."""
        raise BackendError(f"{NAME} does not time operators: NVIDIA's own tools do (trtexec --dumpProfile, nsys)")

    def close(self) -> None:
        if self._execution is not None:
            self._execution.close()
        self._execution = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_session(graph: Path, precision: str, options: Options, example: Tensors | None = None) -> Session:
    """Load the compiled engine of a verified ONNX file; none is ever built here.

    Raises BackendError that says what differs where there is none for this graph, precision, package, CUDA and GPU, or
    where it is damaged, and names the command that compiles it.
    """
    with_library = library(options.package)
    wanted = options.precision_of(precision)
    device, absence = _device()
    facts = facts_of(graph, wanted, with_library, device)
    manifest = _find(graph, facts, options, absence)
    remedy = command(graph, options, _batch(manifest))
    with store.contents(store.folder_of(options), manifest, remedy) as plan:
        if absence is not None:
            raise absence
        execution = _execution(with_library, plan, options, remedy)
    return Session(execution, manifest, graph, options)


def devices() -> list[str]:
    """The GPU, where there is one."""
    return [CUDA] if _device()[0] is not None else []


def open_built(graph: Path, precision: str, example: Tensors, options: Options) -> Session:
    """Compile a graph for the shapes of these inputs alone, and load it: for probes and yardsticks, not for bundles.

    Raises BackendError.
    """
    shapes = {name: Range(array.shape, array.shape, array.shape) for name, array in example.items()}
    compile_graph(graph, precision, shapes, options)
    return open_session(graph, precision, options)


def probe(graph: Path, inputs: Tensors) -> list[Probe]:
    """Compile a small graph without dynamic shapes and run it once, where there is a GPU."""
    absence = _device()[1]
    if absence is not None:
        return [Probe(CUDA, False, str(absence))]
    with tempfile.TemporaryDirectory() as cache:
        try:
            with open_built(graph, "fp32", inputs, Options(cache=cache)) as session:
                start = time.perf_counter()
                session.run(inputs)
                return [Probe(CUDA, True, f"ran in {(time.perf_counter() - start) * 1e3:.2f} ms")]
        except BackendError as error:
            return [Probe(CUDA, False, str(error))]


def command(graph: Path, options: Options, batch: int | None = None) -> str:
    """The command line that compiles the engine of a bundle's graph with these options."""
    parts = ["clipspect", "compile", str(graph.parent), "--backend", NAME]
    if graph.name == "text.onnx":
        parts += ["--graph", "text"]
    given = {
        "--batch": str(batch) if batch is not None and batch > 1 else None,
        "--precision": options.precision,
        "--package": options.package,
        "--cache": options.cache,
    }
    parts += [part for option, value in given.items() if value is not None for part in (option, value)]
    return shlex.join(parts)


def _batch(engine: EngineManifest) -> int | None:
    """The most images of a run; None of a graph that takes none."""
    return engine.inputs[IMAGE].most[0] if IMAGE in engine.inputs else None


def _device() -> tuple[cuda.Device | None, BackendError | None]:
    """The GPU, or why there is none."""
    try:
        return cuda.device(), None
    except BackendError as error:
        return None, BackendError(f"{NAME} runs on an NVIDIA GPU only: {error}")


def _find(graph: Path, facts: Facts, options: Options, absence: BackendError | None) -> EngineManifest:
    """The engine that fits. Raises BackendError with what is different about the one that comes closest."""
    folder = store.folder_of(options)
    if (engine := store.fitting(folder, facts)) is not None:
        return engine
    closest = store.nearest(folder, facts, graph)
    if closest is not None:
        other, differences = closest
        remedy = command(graph, options, _batch(other))
        raise BackendError(f"the engine that was compiled of {graph} does not fit: {differences}: {remedy}")
    if absence is not None:
        raise absence
    raise BackendError(f"no engine is compiled of {graph} (looked in {folder}): {command(graph, options)}")


def _execution(with_library: Library, plan: Any, options: Options, remedy: str) -> Execution:
    with_library.complaint()  # of before
    runtime = with_library.trt.Runtime(with_library.logger)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise BackendError(
            f"{with_library.package} cannot load the engine ({with_library.complaint()}; {cuda.memory_words()}): close "
            f"what else uses the GPU, or build it anew: {remedy} --force"
        )
    return Execution(with_library, runtime, engine, cuda_graph=options.cuda_graph)
