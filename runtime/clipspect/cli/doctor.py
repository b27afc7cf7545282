"""`clipspect doctor`: what is installed here, what it can really run, and how to get what is missing."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from clipspect.base.errors import BackendError

if TYPE_CHECKING:
    from clipspect.engines import Engine, Probe
    from clipspect.host.advice import Advice
    from clipspect.host.machine import Machine
    from clipspect.host.power import Power

_RUNTIME = ("numpy", "pillow", "safetensors", "tqdm")
_EXPORTER = ("torch", "open_clip_torch", "onnx", "onnxscript")
_TITLES = {"cuda": "CUDA", "tensorrt": "TensorRT", "tensorrt_python": "its Python module", "cudnn": "cuDNN"}
_NOT_AVAILABLE = "[N/A]"  # nvidia-smi's word; here: a GPU without memory of its own
_DESCRIPTION = """Report Python, versions, processor, memory, GPU, Jetson, power mode and clocks, run a tiny graph on
every device that an engine claims to have, and say what to mend. The exit status is 1 when no engine can score images
here."""


@dataclass(frozen=True)
class EngineReport:
    """`scores`: clipspect's backend on this engine ran a graph. `devices`: all that the engine itself can run."""

    name: str
    installed: bool
    compiled: bool  # needs `clipspect compile` first, and an NVIDIA GPU
    remote: bool  # scores on a server, of which nothing is looked at here
    caveat: str  # what must be said of devices that nobody has run it on; else empty
    version: str | None
    scores: bool
    scores_on: str | None  # the device
    devices: tuple[Probe, ...]
    problem: str | None
    remedy: str


@dataclass(frozen=True)
class Report:
    """All that doctor knows; its JSON document has these names."""

    machine: Machine  # as in the document of `clipspect bench`
    interpreter: str
    packages: dict[str, str | None]  # of the runtime
    exporter: dict[str, str | None]
    engines: tuple[EngineReport, ...]
    advice: tuple[Advice, ...]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("doctor", help="show what this machine can run", description=_DESCRIPTION)
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    report = examine()
    print(json.dumps(dataclasses.asdict(report), indent=2, ensure_ascii=False) if args.json else page(report))
    return 0 if any(engine.scores for engine in report.engines) else 1


def examine(root: Path = Path("/"), wheels: Sequence[str] | None = None) -> Report:
    """The report of this machine, or of a recorded one: `root` and `wheels` as `read_machine` takes them.

    The engines are always those of this Python.
    """
    from clipspect.engines import registry
    from clipspect.host.advice import advise
    from clipspect.host.machine import read_machine

    machine = read_machine(root, wheels)
    report = Report(
        machine=machine,
        interpreter=sys.executable,
        packages=_versions(_RUNTIME),
        exporter=_versions(_EXPORTER),
        engines=tuple(_examine_engine(engine) for engine in registry()),
        advice=(),
    )
    return dataclasses.replace(report, advice=(*advise(machine), *_advise_engines(report)))


def _examine_engine(engine: Engine) -> EngineReport:
    from clipspect.base.temporary import temporary_folder
    from clipspect.engines.tiny import TINY_GRAPH, TINY_INPUTS

    version = scores_on = problem = None
    devices: tuple[Probe, ...] = ()
    with temporary_folder() as folder:
        graph = folder / "tiny.onnx"
        graph.write_bytes(TINY_GRAPH)
        try:
            module = engine.module()
            version = engine.version
            scores_on = None if engine.compiled or engine.remote else _score(engine, graph)
            with engine.clear_errors():
                devices = tuple(module.probe(graph, TINY_INPUTS))
        except BackendError as error:
            problem = str(error)
    if engine.compiled and devices:  # these have no backend before `clipspect compile`: the probe compiles its own
        scores_on = next((probe.device for probe in devices if probe.works), None)
    scores = scores_on is not None
    return EngineReport(
        name=engine.name,
        installed=engine.installed,
        compiled=engine.compiled,
        remote=engine.remote,
        caveat=engine.caveat,
        version=version,
        scores=scores,
        scores_on=scores_on,
        devices=devices,
        problem=problem,
        remedy=engine.remedy,
    )


def _score(engine: Engine, graph: Path) -> str:
    """The device on which clipspect's backend ran the graph. Raises BackendError."""
    from clipspect.engines import open_backend
    from clipspect.engines.tiny import TINY_INPUTS

    with open_backend(engine.name, graph) as backend:
        backend.run(TINY_INPUTS)
        return backend.device


def _versions(packages: tuple[str, ...]) -> dict[str, str | None]:
    """By package metadata: nothing is imported."""
    versions: dict[str, str | None] = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def _advise_engines(report: Report) -> Iterator[Advice]:
    """What the engines' own runs showed."""
    from clipspect.base.installation import pip_install
    from clipspect.host.advice import Advice, install_onnxruntime

    machine = report.machine
    on_nvidia = bool(machine.gpus or machine.jetson)
    none_scores = not any(engine.scores for engine in report.engines)
    for engine in report.engines:
        wanted = none_scores and not engine.remote
        if engine.problem and (wanted or (engine.installed and (on_nvidia or not engine.compiled))):
            yield Advice(f"{engine.name} cannot score", engine.problem)
    if missing := [name for name, version in report.exporter.items() if version is None]:
        yield Advice(
            f"no bundles can be exported here ({', '.join(missing)} missing)",
            f"{pip_install('export')}, where that is wanted",
        )
    idle = not any(probe.works and probe.device != "cpu" for engine in report.engines for probe in engine.devices)
    if idle and on_nvidia:
        name = "this Jetson's GPU" if machine.jetson else machine.gpus[0].name
        yield Advice(f"no engine scores on {name}", f"pip uninstall onnxruntime, and {install_onnxruntime(machine)}")


def page(report: Report) -> str:
    lines = [f"{name:11}{value}" for name, value in _rows(report)]
    lines += ["", "engines, by a real run of a tiny graph"]
    for engine in report.engines:
        state = f"scores on {engine.scores_on}" if engine.scores else "cannot score"
        if engine.remote:
            ready = f"scores on a server: --backend {engine.name} --url ..., docs/serving.md"
            state = engine.remedy if not engine.installed else "cannot score" if engine.problem else ready
        caveat = f"; {engine.caveat}" if engine.caveat else ""
        lines.append(f"  {engine.name} {engine.version or '(not installed)'}: {state}{caveat}")
        lines += [f"    {'ok' if probe.works else 'no':4}{probe.device:10}{probe.detail}" for probe in engine.devices]
    if report.advice:
        lines += ["", "what to do"]
        lines += [line for advice in report.advice for line in (f"  {advice.found}", f"    > {advice.remedy}")]
    return "\n".join(lines)


def _rows(report: Report) -> Iterator[tuple[str, str]]:
    machine = report.machine
    memory, jetson = machine.memory, machine.jetson
    yield "clipspect", machine.versions["clipspect"]
    yield "python", f"{machine.python} ({report.interpreter})"
    yield "platform", machine.platform
    yield "packages", _list_versions(report.packages)
    yield "exporter", _list_versions(report.exporter)
    yield "device", machine.device or "unknown"
    yield "cpu", f"{machine.cpu.model}, {machine.cpu.architecture}, {machine.cpu.cores} usable core(s)"
    yield "", ", ".join(machine.cpu.features) or "no vector features known to clipspect"
    if memory:
        swap = f"{memory.swap / 1e9:.1f} GB swap ({_first_of(memory.swap_devices)})" if memory.swap else "no swap"
        yield "memory", f"{memory.total / 1e9:.1f} GB, {memory.available / 1e9:.1f} GB free, {swap}"
    for gpu in machine.gpus:
        size = "the CPU's memory" if gpu.memory == _NOT_AVAILABLE else gpu.memory
        yield "gpu", f"{gpu.name}, driver {gpu.driver}, {size}, compute capability {gpu.compute_capability}"
    if not machine.gpus and not jetson:
        yield "gpu", "no NVIDIA GPU (by nvidia-smi)"
    if jetson:
        yield "jetson", f"{jetson.module or 'unknown module'}, {jetson.chip or 'unknown chip'}"
        package = "" if jetson.jetpack_installed else " by its Jetson Linux (nvidia-jetpack is not installed)"
        yield "jetpack", f"{jetson.jetpack or 'unknown'}{package}, L4T {jetson.l4t or 'unknown'}"
    if power := ", ".join(_power(machine.power)):
        yield "power", power
    versions = dataclasses.asdict(machine.nvidia)
    if any(versions.values()):
        yield "system", ", ".join(f"{_TITLES[name]} {version}" for name, version in versions.items() if version)
    for wheel in machine.wheels:
        built = [wheel.architecture or "", f"CUDA {wheel.cuda}" if wheel.cuda else ""]
        yield "wheel", " ".join([wheel.name, wheel.version, *filter(None, built)])


def _power(power: Power) -> Iterator[str]:
    if power.mode:
        yield f"mode {power.mode}" + (f" (fastest {power.fastest_mode})" if power.fastest_mode else "")
    if power.mhz and power.max_mhz:
        yield f"cpu {power.mhz:.0f} of {power.max_mhz:.0f} MHz"
    if power.governor:
        yield f"governor {power.governor}"
    if power.gpu_mhz and power.gpu_low_mhz and power.gpu_high_mhz:
        yield f"gpu {power.gpu_mhz:.0f} MHz, from {power.gpu_low_mhz:.0f} to {power.gpu_high_mhz:.0f}"
    if power.gpu_persistence is not None:
        yield f"persistence mode {'on' if power.gpu_persistence else 'off'}"


def _first_of(names: tuple[str, ...]) -> str:
    """A Jetson has swap in as many pieces as cores."""
    return ", ".join(names[:1]) + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _list_versions(versions: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {version or 'not installed'}" for name, version in versions.items())
