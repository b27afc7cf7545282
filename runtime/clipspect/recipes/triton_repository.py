"""A bundle as a model repository of Triton: one model a graph that inspects, which serves every recipe."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from clipspect.base.errors import BackendError, BundleError, ClipspectError
from clipspect.base.lock import only_writer_in
from clipspect.base.temporary import temporary_folder
from clipspect.bundle.bundle import Bundle
from clipspect.engines.cache import files_of
from clipspect.engines.engine import CPU, require_count
from clipspect.engines.graph import FP16, IMAGE, WINDOWS, Graph
from clipspect.engines.onnx_split import split
from clipspect.engines.serving import ENCODER, FILES, HEAD, ONNXRUNTIME, TENSORRT, VERSIONS, Served
from clipspect.recipes import triton_config as config
from clipspect.recipes.compile import CompiledGraph, compiled_engines

CONFIG = "config.pbtxt"


@dataclass(frozen=True)
class ServedGraph:
    """A graph in the repository."""

    served: Served
    joined: int  # images that requests are joined to in the encoder; 0: each request runs for itself
    models: tuple[str, ...]  # the folders; clients ask for the last


def write_triton_repository(
    bundle: Bundle | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    device: str = CPU,
    batch: int = 8,
    instances: int = 1,
    force: bool = False,
) -> tuple[ServedGraph, ...]:
    """Write the bundle's graphs into a model repository, which may have models of others already.

    `device` is where the server computes: "cpu" and "cuda" by onnxruntime, "tensorrt" by the engines that
    `clipspect compile` built. At most `batch` images are joined to one run, and are in a request; a TensorRT engine
    has a number of its own. `instances` of each model run at once. `force` replaces models of this bundle. Raises
    BundleError, BackendError, and ClipspectError where nothing can be written.
    """
    if device not in VERSIONS:
        raise BackendError(f"device: a Triton server has {', '.join(VERSIONS)}, found {device!r}")
    require_count("batch", batch)
    require_count("instances", instances)
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    if device == CPU and opened.manifest.precision == FP16:
        raise BackendError(
            f"{opened.path}: onnxruntime does not run an {FP16} graph on the CPU: take --device cuda, or export with "
            "--precision fp32"
        )
    target = Path(out)
    try:
        with only_writer_in(target), temporary_folder(_workshop(target)) as folder:
            writer = _Writer(opened, folder, device, batch, instances)
            written = writer.compiled() if device == TENSORRT else writer.graphs()
            _move(written, folder, target, force)
    except OSError as error:
        raise ClipspectError(
            f"{target}: cannot be written ({error.strerror or error}): choose another --out"
        ) from error
    return written


class _Writer:
    """Writes a bundle's models into a folder."""

    def __init__(self, bundle: Bundle, folder: Path, device: str, batch: int, instances: int) -> None:
        self._bundle, self._folder, self._device = bundle, folder, device
        self._batch, self._instances = batch, instances
        self._weights: dict[str, Path] = {}  # files that are in the folder once, by name

    def graphs(self) -> tuple[ServedGraph, ...]:
        """Every graph that inspects, as ONNX."""
        manifest = self._bundle.manifest
        written = [self._judging(role, graph) for role, graph in manifest.graphs.items()]
        if manifest.windows is not None:  # which reads its windows across the images of a batch
            written.append(self._alone(WINDOWS, manifest.windows))
        return tuple(written)

    def compiled(self) -> tuple[ServedGraph, ...]:
        """The graphs of which there is an engine that Triton's TensorRT can load."""
        found = compiled_engines(self._bundle)
        roles = {graph.file: role for role, graph in self._bundle.manifest.graphs.items()}
        written = []
        for file, role in roles.items():
            engines = [one for one in found if Path(one.engine.graph).name == file and self._is_servable(one)]
            if len(engines) > 1:
                raise BackendError(
                    f"{len(engines)} engines are compiled of {file} ({', '.join(one.path for one in engines)}): remove "
                    "those that were not built for the server's GPU"
                )
            written += [self._plan(role, one) for one in engines]
        if not written:
            command = f"clipspect compile {self._bundle.path} --package tensorrt --batch {self._batch}"
            others = sorted({one.engine.facts.package for one in found} - {TENSORRT})
            why = f"; Triton does not load those of {', '.join(others)}" if others else ""
            raise BackendError(
                f"no engine of TensorRT in {self._bundle.manifest.precision} is compiled of {self._bundle.path}{why}: "
                f"on the server's GPU and with the server's version of TensorRT, {command}"
            )
        return tuple(written)

    def _is_servable(self, one: CompiledGraph) -> bool:
        facts = one.engine.facts
        return facts.package == TENSORRT and facts.precision == self._bundle.manifest.precision

    def _judging(self, role: str, graph: Graph) -> ServedGraph:
        """In two parts, of which the first joins requests; a graph that has not these runs each for itself."""
        parts = split(self._bundle.path / graph.file, graph)
        if parts is None:
            return self._alone(role, graph)
        served = self._served(role, self._batch)
        first, second = (parts.encoder.inputs, parts.encoder.outputs), (parts.head.inputs, parts.head.outputs)
        names = [f"{served.name}-{ENCODER}", f"{served.name}-{HEAD}", served.name]
        version = self._model(names[0], served, config.encoder(served, *first, self._instances, self._batch))
        (version / FILES[ONNXRUNTIME]).write_bytes(parts.encoder.model)
        self._place_weights(graph, version)
        version = self._model(names[1], served, config.head(served, *second, self._instances))
        (version / FILES[ONNXRUNTIME]).write_bytes(parts.head.model)
        version = self._model(names[2], served, config.joined(served, graph.inputs, graph.outputs, parts))
        (version / "empty").touch()  # Triton wants the folder, and copies of a repository can lose an empty one
        return ServedGraph(served, self._batch, tuple(names))

    def _alone(self, role: str, graph: Graph) -> ServedGraph:
        served = self._served(role, self._batch)
        version = self._model(served.name, served, config.whole(served, graph.inputs, graph.outputs, self._instances))
        shutil.copyfile(self._bundle.path / graph.file, version / FILES[ONNXRUNTIME])
        self._place_weights(graph, version)
        return ServedGraph(served, 0, (served.name,))

    def _plan(self, role: str, one: CompiledGraph) -> ServedGraph:
        from clipspect.engines.tensorrt.store import contents

        graph = self._bundle.manifest.graphs[role]
        served = self._served(role, one.engine.inputs[IMAGE].most[0])
        version = self._model(served.name, served, config.whole(served, graph.inputs, graph.outputs, self._instances))
        with contents(Path(one.path).parent, one.engine) as plan:
            (version / FILES[TENSORRT]).write_bytes(plan)
        return ServedGraph(served, 0, (served.name,))

    def _served(self, role: str, most: int) -> Served:
        return Served(self._bundle.digest, role, self._device, self._bundle.manifest.precision, most)

    def _model(self, name: str, served: Served, text: str) -> Path:
        """The folder of its version."""
        version = self._folder / name / str(served.version)
        version.mkdir(parents=True)
        (self._folder / name / CONFIG).write_text(text, encoding="utf-8")
        return version

    def _place_weights(self, graph: Graph, version: Path) -> None:
        """The files that the graph reads beside it: copied once, and one file under several names where that goes."""
        path = self._bundle.path / graph.file
        for source in files_of(path)[1:]:
            first = self._weights.setdefault(source.name, version / source.name)
            if first == version / source.name:
                shutil.copyfile(source, first)
            else:
                _link(first, version / source.name)


def _workshop(repository: Path) -> Path:
    """Where models are written until they are whole: beside the repository, since a server does not start while there
    is a folder in it that is no model; inside, where there is no way beside it.
    """
    beside = repository.resolve().parent
    if os.access(beside, os.W_OK) and beside.stat().st_dev == repository.stat().st_dev:
        return beside
    return repository


def _link(file: Path, name: Path) -> None:
    try:
        name.hardlink_to(file)
    except OSError:  # a file system without links
        shutil.copyfile(file, name)


def _move(written: tuple[ServedGraph, ...], folder: Path, target: Path, force: bool) -> None:
    """The models into the repository, what is asked for last. Raises BundleError for one that is there already."""
    names = [name for graph in written for name in graph.models]
    there = [name for name in names if (target / name).exists()]
    if there and not force:
        raise BundleError(f"{target / there[0]}: is there already: replace it with --force, or choose another --out")
    for name in names:
        if (target / name).exists():
            (target / name).rename(folder / f"old-{name}")
        (folder / name).rename(target / name)
