"""A benchmark's report as a person reads it in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from clipspect.host.machine import Machine
from clipspect_lab.benchmark.report import BenchmarkReport, EngineRow


def benchmark_page(report: BenchmarkReport) -> str:
    """The report in a terminal's width."""
    lines = [f"{name:11}{value}" for name, value in _header(report)]
    lines += ["", f"{'milliseconds an image':28}{''.join(f'{stage:>12}' for stage in report.rows[0].stages)}"]
    for row in report.rows:
        lines += [f"  {line}" for line in _times(row)]
    lines += ["", f"  {'':18}{'runs':>6}{'images/s':>10}{'of engine':>11}{'GFLOP/s':>9}{'of GEMM':>9}"]
    lines[-1] += f"{'cold start':>12}{'memory':>9}{'image AUROC':>13}{'pixel AUROC':>13}"
    lines += [_rates(row) for row in report.rows]
    lines += ["", *_profiles(report), *_notes(report)]
    lines += [f"no GEMM of {_name(row)}: {row.gemm_problem}" for row in report.rows if row.gemm_problem]
    lines += [f"not measured: {name}: {reason}" for name, reason in report.left_out.items()]
    return "\n".join(lines)


def _header(report: BenchmarkReport) -> Iterator[tuple[str, str]]:
    yield "bundle", f"{report.bundle}: {report.method}, {report.backbone}, recipe {report.recipe!r}"
    yield "", f"{report.gflop:.1f} GFLOP an image; frames of {report.width} x {report.height}, JPEG"
    yield from _machine(report.machine)
    for row in report.rows:
        threads = f"{row.threads} threads" if row.threads is not None else "its own number of threads"
        yield "engine", f"{row.backend} {row.version} on {row.device}, {row.precision}, batch {row.batch}, {threads}"


def _machine(machine: Machine) -> Iterator[tuple[str, str]]:
    yield "device", machine.device or "unknown"
    yield "cpu", f"{machine.cpu.model}, {machine.cpu.architecture}, {machine.cpu.cores} usable core(s)"
    yield "", ", ".join(machine.cpu.features) or "no vector features known to clipspect"
    yield "clocks", _clocks(machine)
    if machine.memory is not None:
        yield "memory", f"{machine.memory.total / 1e9:.1f} GB, {machine.memory.available / 1e9:.1f} GB free"
    for gpu in machine.gpus:
        yield "gpu", f"{gpu.name}, driver {gpu.driver}, {gpu.memory}"
    if machine.jetson is not None:
        yield "jetson", f"L4T {machine.jetson.l4t or 'unknown'}, JetPack {machine.jetson.jetpack or 'unknown'}"
    if machine.nvidia.cuda or machine.nvidia.tensorrt:
        yield "", f"CUDA {machine.nvidia.cuda or 'unknown'}, TensorRT {machine.nvidia.tensorrt or 'unknown'}"
    yield "system", f"{machine.platform}, Python {machine.python}"
    yield "", ", ".join(f"{name} {version}" for name, version in machine.versions.items())


def _clocks(machine: Machine) -> str:
    power = machine.power
    known = [
        f"{power.mhz:.0f} MHz before the runs" if power.mhz is not None else "",
        f"{power.max_mhz:.0f} MHz at most" if power.max_mhz is not None else "",
        f"gpu {power.gpu_mhz:.0f} MHz, {power.gpu_high_mhz:.0f} at most"
        if power.gpu_mhz and power.gpu_high_mhz
        else "",
        f"governor {power.governor}" if power.governor is not None else "governor unknown",
        f"power mode {power.mode}" if power.mode is not None else "power mode unknown",
        f"load {power.load:.1f}" if power.load is not None else "",
    ]
    return ", ".join(part for part in known if part)


def _name(row: EngineRow) -> str:
    return f"{row.backend} {row.precision}"


def _times(row: EngineRow) -> Iterator[str]:
    """A line for each percentile that the runs are enough for."""
    name = _name(row)
    for percentile, label in (("p50", "median"), ("p95", "95 %"), ("p99", "99 %")):
        values = [getattr(times, percentile) for times in row.stages.values()]
        if None not in values:
            yield f"{name:18}{label:8}{''.join(f'{value:12.2f}' for value in values)}"
        name = ""


def _rates(row: EngineRow) -> str:
    gemm = "-" if row.gemm_share is None else f"{row.gemm_share:.0%}"
    gflops = "-" if row.gflops is None else f"{row.gflops:.0f}"
    memory = "-" if row.peak_memory_bytes is None else f"{row.peak_memory_bytes / 1e6:.0f} MB"
    line = f"  {_name(row):18}{row.runs:6d}{row.images_per_second:10.2f}{row.stream_share:11.0%}{gflops:>9}{gemm:>9}"
    known = row.accuracy
    found = ["-", "-"] if known is None else [f"{known.image_auroc:.4f}", f"{known.pixel_auroc:.4f}"]
    return f"{line}{row.cold_start_s:10.2f} s{memory:>9}{''.join(f'{value:>13}' for value in found)}"


def _profiles(report: BenchmarkReport) -> Iterator[str]:
    """Of rows that are below the share of GEMM that is aimed at: the operators that take the time."""
    for row in report.rows:
        if row.profile:
            parts = [f"{name} {share:.1%}" for name, share in row.profile.items()]
            heading = f"{_name(row)}, whose aim is {row.gemm_target:.0%} of GEMM, spends its time in:"
            yield from textwrap.wrap(f"{heading} {', '.join(parts)}", 116, subsequent_indent="  ")


def _notes(report: BenchmarkReport) -> Iterator[str]:
    yield "total: decode to post; map: the anomaly map in the frame's size, which is made when it is read"
    yield "images/s: of a stream, decoding and all; of engine: that beside what infer alone would give"
    yield "of GEMM: the graph's GFLOP/s beside the same engine's at large matrix products here"
    yield "AUROC: of the demo's weights alone, on its shipped pictures, families that its training never saw"
    yield "cold start: a fresh process until its first verdict, files in the system's cache; memory: its peak"
    load, cores = report.machine.power.load, report.machine.cpu.cores
    if load is not None and load > cores / 2:
        yield f"this machine was busy before the runs (load {load:.1f} on {cores} cores): measure again when it is idle"
