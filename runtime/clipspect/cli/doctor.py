"""`clipspect doctor`: what is installed here, what it can really run, and how to get what is missing."""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipspect.errors import BackendError
from clipspect.version import __version__

if TYPE_CHECKING:
    from clipspect.backends import Engine

_RUNTIME = ("numpy", "pillow", "safetensors", "tqdm")
_EXPORTER = ("torch", "open_clip_torch", "onnx", "onnxscript")
_DESCRIPTION = """Report Python, versions, processor, GPU and Jetson, and run a tiny graph on every device that an
engine claims to have. The exit status is 1 when no engine can score images here."""

Report = dict[str, Any]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("doctor", help="show what this machine can run", description=_DESCRIPTION)
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    report = examine()
    print(json.dumps(report, indent=2, ensure_ascii=False) if args.json else _page(report))
    return 0 if any(engine["scores"] for engine in report["engines"]) else 1


def examine(root: Path = Path("/")) -> Report:
    """Everything that doctor knows, as a JSON object. Machine facts are read from files under `root`."""
    from clipspect import system
    from clipspect.backends import ENGINES, PLANNED

    memory, jetson = system.read_memory(root), system.read_jetson(root)
    report: Report = {
        "clipspect": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "packages": _versions(_RUNTIME),
        "exporter": _versions(_EXPORTER),
        "cpu": dataclasses.asdict(system.read_cpu(root)),
        "memory": dataclasses.asdict(memory) if memory else None,
        "gpus": [dataclasses.asdict(gpu) for gpu in system.read_gpus()],
        "jetson": dataclasses.asdict(jetson) if jetson else None,
        "engines": [_examine_engine(engine) for engine in ENGINES],
        "planned_engines": _versions(PLANNED),
    }
    report["advice"] = _advice(report)
    return report


def _examine_engine(engine: Engine) -> Report:
    """`scores`: clipspect's backend on this engine ran a graph. `devices`: all that the engine itself can run."""
    from clipspect.backends import open_backend
    from clipspect.backends.tiny import TINY_GRAPH, TINY_INPUTS

    report: Report = {"name": engine.name, "version": None, "scores": False, "devices": [], "problem": None}
    report["remedy"] = engine.remedy
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "tiny.onnx"
        graph.write_bytes(TINY_GRAPH)
        try:
            module = engine.module()
            report["version"] = sys.modules[engine.package].__version__.partition("-")[0]  # OpenVINO adds a commit
            with open_backend(engine.name, graph) as backend:
                backend.run(TINY_INPUTS)
                report["scores"] = True
                report["scores_on"] = backend.device
            report["devices"] = [dataclasses.asdict(probe) for probe in module.probe(graph, TINY_INPUTS)]
        except BackendError as error:
            report["problem"] = str(error)
    return report


def _versions(packages: tuple[str, ...]) -> dict[str, str | None]:
    """By package metadata: nothing is imported."""
    versions: dict[str, str | None] = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def _advice(report: Report) -> list[str]:
    advice = [f"{engine['name']}: {engine['problem']}" for engine in report["engines"] if engine["problem"]]
    working = {device["device"] for engine in report["engines"] for device in engine["devices"] if device["works"]}
    if missing := [name for name, version in report["exporter"].items() if version is None]:
        advice.append(f'to export bundles here ({", ".join(missing)} missing): pip install "clipspect[export]"')
    advice += [
        f"{name} {version} is installed; this version does not drive it yet"
        for name, version in report["planned_engines"].items()
        if version is not None
    ]
    if report["gpus"] and not report["jetson"] and "cuda" not in working:
        advice.append(
            "an NVIDIA GPU is here and no engine scores on it: pip uninstall onnxruntime, then "
            'pip install "clipspect[gpu]"'
        )
    if report["jetson"] and "cuda" not in working:
        advice.append(
            "this is a Jetson and no engine scores on its GPU: onnxruntime-gpu for Jetson is not on PyPI, "
            "its wheels come from NVIDIA's index for your JetPack"
        )
    return advice


def _page(report: Report) -> str:
    cpu, memory, jetson = report["cpu"], report["memory"], report["jetson"]
    rows = [
        ("clipspect", report["clipspect"]),
        ("python", report["python"]),
        ("platform", report["platform"]),
        ("packages", _list_versions(report["packages"])),
        ("exporter", _list_versions(report["exporter"])),
        ("cpu", f"{cpu['model']}, {cpu['architecture']}, {cpu['cores']} usable core(s)"),
        ("", ", ".join(cpu["features"]) or "no vector features known to clipspect"),
        ("memory", f"{memory['total'] / 1e9:.1f} GB, {memory['available'] / 1e9:.1f} GB free" if memory else "unknown"),
        *(("gpu", ", ".join(gpu.values())) for gpu in report["gpus"] or [{"": "no NVIDIA GPU (by nvidia-smi)"}]),
    ]
    if jetson:
        rows.append(
            ("jetson", f"{jetson['model']}, L4T {jetson['l4t'] or 'unknown'}, JetPack {jetson['jetpack'] or 'unknown'}")
        )
    lines = [f"{name:11}{value}" for name, value in rows]
    lines += ["", "engines, by a real run of a tiny graph"]
    for engine in report["engines"]:
        state = f"scores on {engine['scores_on']}" if engine["scores"] else "cannot score"
        lines.append(f"  {engine['name']} {engine['version'] or '(not installed)'}: {state}")
        lines += [f"    {'ok' if d['works'] else 'no':4}{d['device']:10}{d['detail']}" for d in engine["devices"]]
    if report["advice"]:
        lines += ["", "what is missing", *(f"  {line}" for line in report["advice"])]
    return "\n".join(lines)


def _list_versions(versions: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {version or 'not installed'}" for name, version in versions.items())
