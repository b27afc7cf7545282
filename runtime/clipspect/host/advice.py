"""What is known to go wrong on such a machine, and what to do about it. A rule a function, from facts alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from clipspect.base.installation import pip_install
from clipspect.host.jetson import JETPACKS, JetPack, release_of, wheel_index
from clipspect.host.machine import Machine
from clipspect.host.nvidia import Wheel, major

_SMALL_MEMORY = 16e9  # bytes: below, building an engine may not fit beside a desktop
_FP16_PROBLEM = "10.3."  # https://github.com/NVIDIA/TensorRT/issues/4723
_TOO_OLD = {"4", "5"}  # JetPacks
# docs.nvidia.com/deploy/cuda-compatibility: least driver on Linux by CUDA's major version; Jetsons count otherwise
_LEAST_DRIVERS = {"11": (450, 80), "12": (525, 60), "13": (580, 65)}


@dataclass(frozen=True)
class Advice:
    """One finding and its remedy, each a clause without a full stop."""

    found: str
    remedy: str


def advise(machine: Machine) -> tuple[Advice, ...]:
    """What every rule has to say of this machine, in the order in which to act on it."""
    return tuple(advice for rule in _RULES for advice in rule(machine))


def _jetpack(machine: Machine) -> Iterator[Advice]:
    jetson = machine.jetson
    if jetson is None:
        return
    if major(jetson.jetpack or "") in _TOO_OLD:
        yield Advice(
            f"JetPack {jetson.jetpack} has a Python before 3.10, which clipspect needs", "flash JetPack 6.2 or newer"
        )
    elif release_of(jetson) is None:
        yield Advice(
            f"JetPack {jetson.jetpack or 'unknown'} with Jetson Linux {jetson.l4t or 'unknown'} is not known to this "
            f"version, which knows {JETPACKS[0].version} to {JETPACKS[-1].version}",
            "compare the versions of CUDA, TensorRT and Python with NVIDIA's release notes yourself",
        )
    if machine.nvidia.tensorrt is None and machine.nvidia.cuda is None:
        yield Advice(
            "neither CUDA nor TensorRT is installed", "sudo apt-get update && sudo apt-get install nvidia-jetpack"
        )


def _python(machine: Machine) -> Iterator[Advice]:
    release = release_of(machine.jetson) if machine.jetson else None
    if release and not _same(machine.python, release.python):
        yield Advice(
            f"this is Python {machine.python}, and what NVIDIA has built for JetPack {release.version} is for "
            f"{release.python}",
            f"make the environment with the system's own: /usr/bin/python{release.python} -m venv "
            "--system-site-packages",
        )


def _tensorrt(machine: Machine) -> Iterator[Advice]:
    system = machine.nvidia.tensorrt
    wheel = _wheel(machine, "tensorrt")
    version = wheel.version if wheel else system
    if version and version.startswith(_FP16_PROBLEM):
        yield Advice(
            f"TensorRT {version} is known to answer wrongly for some ViTs in fp16",
            "run `clipspect verify BUNDLE --backend tensorrt` on this box for every bundle and precision, and again "
            "after each update",
        )
    if machine.jetson is None or system is None:
        return
    if machine.nvidia.tensorrt_python is None:
        yield Advice("TensorRT is here without its Python module", "sudo apt-get install python3-libnvinfer")
    elif wheel is None:
        yield Advice(
            "TensorRT's Python module is installed, and this Python does not see it",
            "make the environment with /usr/bin/python3 -m venv --system-site-packages",
        )
    elif not _same(wheel.version, system):
        yield Advice(
            f"TensorRT's Python module is {wheel.version}, its library {system}",
            "pip uninstall tensorrt: JetPack's own module is the one that fits",
        )


def _releases(machine: Machine) -> Iterator[Advice]:
    """Versions that are not those of the JetPack."""
    release: JetPack | None = release_of(machine.jetson) if machine.jetson else None
    if release is None:
        return
    for name, found, expected in (
        ("TensorRT", machine.nvidia.tensorrt, release.tensorrt),
        ("CUDA", machine.nvidia.cuda, release.cuda),
    ):
        if found and not _same(found, expected):
            yield Advice(
                f"{name} is {found}, and JetPack {release.version} has {expected}",
                "engines built elsewhere do not fit: compile and verify on this box, or install JetPack's own",
            )


def _wheels(machine: Machine) -> Iterator[Advice]:
    for wheel in machine.wheels:
        if wheel.architecture not in {None, machine.cpu.architecture}:
            yield Advice(
                f"{wheel.name} {wheel.version} is built for {wheel.architecture}, and this is "
                f"{machine.cpu.architecture}",
                f"pip uninstall {wheel.name}, and {install_onnxruntime(machine)}",
            )
    names = {wheel.name for wheel in machine.wheels}
    if {"onnxruntime", "onnxruntime-gpu"} <= names:
        yield Advice(
            "onnxruntime and onnxruntime-gpu are both installed, and overwrite each other's files",
            f"pip uninstall onnxruntime onnxruntime-gpu, and {install_onnxruntime(machine)}",
        )
    elif machine.jetson and "onnxruntime" in names:
        yield Advice(
            "this onnxruntime runs on the CPU only",
            f"pip uninstall onnxruntime, and {install_onnxruntime(machine)}",
        )


def _cuda(machine: Machine) -> Iterator[Advice]:
    """What the engines were built for, against the system's CUDA on a Jetson and the driver on a PC."""
    for wheel in machine.wheels:
        if wheel.cuda is None:
            continue
        if machine.jetson:
            if machine.nvidia.cuda and major(wheel.cuda) != major(machine.nvidia.cuda):
                yield Advice(
                    f"{wheel.name} {wheel.version} is built for CUDA {wheel.cuda}, and this JetPack has "
                    f"{machine.nvidia.cuda}",
                    f"pip uninstall {wheel.name}, and {install_onnxruntime(machine)}",
                )
            continue
        least = _LEAST_DRIVERS.get(major(wheel.cuda))
        for gpu in machine.gpus:
            if least and _numbers(gpu.driver) < least:
                yield Advice(
                    f"{wheel.name} {wheel.version} needs CUDA {wheel.cuda}, and with it a driver from {least[0]}."
                    f"{least[1]}; {gpu.name} has {gpu.driver}",
                    "install a newer driver (on Ubuntu: sudo ubuntu-drivers install), and restart",
                )


def _power(machine: Machine) -> Iterator[Advice]:
    power = machine.power
    if power.fastest_mode and power.mode != power.fastest_mode:
        yield Advice(
            f"power mode {power.mode or 'unknown'}, and the fastest of this module is {power.fastest_mode}",
            f"sudo nvpmodel -m {power.fastest_mode_id} (it may ask for a restart), if the box's cooling allows it",
        )
    if power.gpu_low_mhz and power.gpu_high_mhz and power.gpu_low_mhz < power.gpu_high_mhz:
        yield Advice(
            f"the GPU's clock is free to fall from {power.gpu_high_mhz:.0f} to {power.gpu_low_mhz:.0f} MHz between "
            "frames",
            "sudo jetson_clocks, after every start and every change of power mode",
        )
    if power.gpu_persistence is False:
        yield Advice(
            "persistence mode is off: without a running program the driver unloads, and the next start waits for it",
            "sudo nvidia-smi -pm 1, after every start",
        )


def _swap(machine: Machine) -> Iterator[Advice]:
    memory = machine.memory
    if machine.jetson and memory and memory.total < _SMALL_MEMORY and not memory.swap:
        yield Advice(
            f"{memory.total / 1e9:.1f} GB of memory, which the GPU shares, and no swap: building an engine may be "
            "killed",
            "sudo fallocate -l 8G /swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile && sudo swapon "
            "/swapfile",
        )


def _wheel(machine: Machine, name: str) -> Wheel | None:
    return next((wheel for wheel in machine.wheels if wheel.name == name), None)


def install_onnxruntime(machine: Machine) -> str:
    """The command that brings the right onnxruntime."""
    if machine.jetson is None:
        return pip_install("gpu" if machine.gpus else "cpu")
    index = wheel_index(machine.jetson)
    return f"pip install --extra-index-url {index} onnxruntime-gpu" if index else "take NVIDIA's wheel for your JetPack"


def _same(found: str, expected: str) -> bool:
    """Whether two versions agree in their first two numbers."""
    return _numbers(found)[:2] == _numbers(expected)[:2]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


_RULES: tuple[Callable[[Machine], Iterator[Advice]], ...] = (
    _jetpack, _python, _releases, _tensorrt, _wheels, _cuda, _power, _swap,
)  # fmt: skip
