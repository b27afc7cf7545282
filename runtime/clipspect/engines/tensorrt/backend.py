"""A compiled engine, loaded: the one that was built of this graph, for this device and by this TensorRT, or none."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clipspect.base.errors import BackendError
from clipspect.base.temporary import temporary_folder
from clipspect.engines.backend import Arrays, Backend, Tensors
from clipspect.engines.engine import Probe
from clipspect.engines.graph import FP32, IMAGE, TEXT_FEATURES, Graph, Signature, TensorSpec
from clipspect.engines.tensorrt import cuda, store
from clipspect.engines.tensorrt.compile import compile_graph, facts_of
from clipspect.engines.tensorrt.execution import Execution
from clipspect.engines.tensorrt.library import Library, library
from clipspect.engines.tensorrt.manifest import EngineManifest, Facts, Range
from clipspect.engines.tensorrt.options import CUDA, TensorRtOptions

NAME = "tensorrt"


class TensorRtBackend(Backend):
    """A graph on the GPU."""

    name = NAME

    def __init__(
        self, execution: Execution, graph: Graph | None, manifest: EngineManifest, path: Path, options: TensorRtOptions
    ) -> None:
        super().__init__(
            _signature(execution),
            graph,
            device=CUDA,
            precision=manifest.facts.precision,
            most_images=_batch(manifest),
        )
        self._ranges, self._path, self._options = manifest.inputs, path, options
        self._execution = execution

    def _run(self, inputs: Tensors, outputs: Sequence[str]) -> Arrays:
        for name, array in inputs.items():
            if not self._ranges[name].holds(array.shape):
                raise BackendError(
                    f"the {NAME} engine takes {name} as {self._ranges[name]}, found {' x '.join(map(str, array.shape))}"
                    f": {self._remedy(name, array.shape)}"
                )
        try:
            return self._execution.run(inputs, outputs)
        except BackendError as error:
            raise BackendError(f"{NAME} failed on {self.device}: {error}") from error

    def _remedy(self, name: str, shape: tuple[int, ...]) -> str:
        """The command that compiles an engine for this input, too."""
        batch = shape[0] if name == IMAGE else self.most_images
        more = {IMAGE: "", TEXT_FEATURES: f" --prompts {shape[1:2][0]}"}.get(name, " --references MORE")
        return command(self._path, self._options, batch) + more

    def _profile(self) -> dict[str, float]:
        """TensorRT fuses a whole graph into a few kernels, which are no operators any more."""
        raise BackendError(f"{NAME} does not time operators: NVIDIA's own tools do (trtexec --dumpProfile, nsys)")

    def _close(self) -> None:
        self._execution.close()


def open_session(
    path: Path,
    precision: str,
    options: TensorRtOptions,
    example: Tensors | None = None,
    graph: Graph | None = None,
) -> TensorRtBackend:
    """Load the compiled engine of a verified ONNX file; none is ever built here.

    Raises BackendError that says what differs where there is none for this graph, precision, package, CUDA and GPU, or
    where it is damaged, and names the command that compiles it.
    """
    with_library = library(options.package)
    wanted = options.precision_of(precision)
    device, absence = _device()
    facts = facts_of(path, wanted, with_library, device)
    manifest = _find(path, facts, options, absence)
    remedy = command(path, options, _batch(manifest))
    with store.contents(store.folder_of(options), manifest, remedy) as plan:
        if absence is not None:
            raise absence
        execution = _execution(with_library, plan, options, remedy)
    try:
        return TensorRtBackend(execution, graph, manifest, path, options)
    except BackendError:
        execution.close()
        raise


def devices() -> list[str]:
    """The GPU, where there is one."""
    return [CUDA] if _device()[0] is not None else []


def open_built(path: Path, precision: str, example: Tensors, options: TensorRtOptions) -> TensorRtBackend:
    """Compile a graph for the shapes of these inputs alone, and load it: for probes and yardsticks, not for bundles.

    Raises BackendError.
    """
    shapes = {name: Range(array.shape, array.shape, array.shape) for name, array in example.items()}
    compile_graph(path, precision, shapes, options)
    return open_session(path, precision, options)


def probe(path: Path, inputs: Tensors) -> list[Probe]:
    """Compile a small graph without dynamic shapes and run it once, where there is a GPU."""
    absence = _device()[1]
    if absence is not None:
        return [Probe(CUDA, False, str(absence))]
    with temporary_folder() as cache:
        try:
            with open_built(path, FP32, inputs, TensorRtOptions(cache=str(cache))) as backend:
                start = time.perf_counter()
                backend.run(inputs)
                return [Probe(CUDA, True, f"ran in {(time.perf_counter() - start) * 1e3:.2f} ms")]
        except BackendError as error:
            return [Probe(CUDA, False, str(error))]


def command(path: Path, options: TensorRtOptions, batch: int | None = None) -> str:
    """The command line that compiles the engine of a bundle's graph with these options."""
    parts = ["clipspect", "compile", str(path.parent), "--backend", NAME]
    if path.name == "text.onnx":
        parts += ["--graph", "text"]
    given = {
        "--batch": str(batch) if batch is not None and batch > 1 else None,
        "--precision": options.precision,
        "--package": options.package,
        "--cache": options.cache,
    }
    parts += [part for option, value in given.items() if value is not None for part in (option, value)]
    return shlex.join(parts)


def _signature(execution: Execution) -> Signature:
    """What the engine takes and answers, without shapes: `_run` knows for which it was built, and the way to others."""
    inputs, outputs = (
        {name: TensorSpec(execution.dtypes[name].name, ()) for name in names}
        for names in (execution.inputs, execution.outputs)
    )
    return Signature(inputs, outputs)


def _batch(engine: EngineManifest) -> int | None:
    """The most images of a run; None of a graph that takes none."""
    return engine.inputs[IMAGE].most[0] if IMAGE in engine.inputs else None


def _device() -> tuple[cuda.Device | None, BackendError | None]:
    """The GPU, or why there is none."""
    try:
        return cuda.device(), None
    except BackendError as error:
        return None, BackendError(f"{NAME} runs on an NVIDIA GPU only: {error}")


def _find(path: Path, facts: Facts, options: TensorRtOptions, absence: BackendError | None) -> EngineManifest:
    """The engine that fits. Raises BackendError with what is different about the one that comes closest."""
    folder = store.folder_of(options)
    if (engine := store.fitting(folder, facts)) is not None:
        return engine
    closest = store.nearest(folder, facts, path)
    if closest is not None:
        other, differences = closest
        remedy = command(path, options, _batch(other))
        raise BackendError(f"the engine that was compiled of {path} does not fit: {differences}: {remedy}")
    if absence is not None:
        raise absence
    raise BackendError(f"no engine is compiled of {path} (looked in {folder}): {command(path, options)}")


def _execution(with_library: Library, plan: Any, options: TensorRtOptions, remedy: str) -> Execution:
    with_library.complaint()  # of before
    runtime = with_library.trt.Runtime(with_library.logger)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise BackendError(
            f"{with_library.package} cannot load the engine ({with_library.complaint()}; {cuda.memory_words()}): close "
            f"what else uses the GPU, or build it anew: {remedy} --force"
        )
    return Execution(with_library, runtime, engine, cuda_graph=options.cuda_graph)
