"""The machine that figures belong to: without it they mean nothing."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from clipspect import system
from clipspect.benchmark.power import Power, read_power
from clipspect.version import __version__

_PACKAGES = ("numpy", "pillow")


@dataclass(frozen=True)
class Machine:
    """None where the machine does not say."""

    device: str | None  # the board's or computer's name
    cpu: system.Cpu
    power: Power
    memory: system.Memory | None
    gpus: tuple[system.Gpu, ...]
    jetson: system.Jetson | None
    platform: str
    python: str
    versions: dict[str, str]  # of clipspect and of what prepares frames


def read_machine(root: Path = Path("/")) -> Machine:
    """From files under a root, nvidia-smi, and Python."""
    versions = {"clipspect": __version__, **{package: metadata.version(package) for package in _PACKAGES}}
    return Machine(
        device=_device(root),
        cpu=system.read_cpu(root),
        power=read_power(root),
        memory=system.read_memory(root),
        gpus=system.read_gpus(),
        jetson=system.read_jetson(root),
        platform=platform.platform(),
        python=platform.python_version(),
        versions=versions,
    )


def _device(root: Path) -> str | None:
    """From the device tree of boards, or the firmware's tables of computers."""
    for names in (("proc/device-tree/model",), ("sys/class/dmi/id/sys_vendor", "sys/class/dmi/id/product_name")):
        try:
            texts = [(root / name).read_text(encoding="utf-8", errors="replace").strip("\0\n ") for name in names]
        except OSError:
            continue
        if any(texts):
            return " ".join(texts)
    return None
