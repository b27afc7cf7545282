"""Everything that is known of this machine: what `clipspect doctor` shows, and what a benchmark's figures belong to."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from clipspect.base.version import __version__
from clipspect.host import system
from clipspect.host.jetson import Jetson, read_jetson
from clipspect.host.nvidia import Nvidia, Wheel, read_nvidia, read_packages, read_wheels
from clipspect.host.power import Power, read_power

_PACKAGES = ("numpy", "pillow")


@dataclass(frozen=True)
class Machine:
    """None where the machine does not say."""

    device: str | None  # the board's or computer's name
    cpu: system.Cpu
    power: Power
    memory: system.Memory | None
    gpus: tuple[system.Gpu, ...]
    jetson: Jetson | None
    nvidia: Nvidia
    platform: str
    python: str
    versions: dict[str, str]  # of clipspect and of what prepares frames
    wheels: tuple[Wheel, ...]  # of engines


def read_machine(root: Path = Path("/"), wheels: Sequence[str] | None = None) -> Machine:
    """From files and programs under a root, and of this Python its version and distributions, or those in the folders
    `wheels`."""
    packages = read_packages(root)
    return Machine(
        device=system.read_device(root),
        cpu=system.read_cpu(root),
        power=read_power(root),
        memory=system.read_memory(root),
        gpus=system.read_gpus(root),
        jetson=read_jetson(root, packages),
        nvidia=read_nvidia(root, packages),
        platform=platform.platform(),
        python=platform.python_version(),
        versions={"clipspect": __version__, **{package: metadata.version(package) for package in _PACKAGES}},
        wheels=read_wheels(wheels),
    )
