"""What makes the same machine fast or slow today: clocks, governor, power mode, other work.

Read from files under a root, so that a recorded tree of another machine reads the same.
"""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from pathlib import Path

from clipspect.host.system import query_gpus, run_tool, text_of

_CPUS = "sys/devices/system/cpu"
_DEVFREQ = "sys/class/devfreq"
_GPUS = ("*.gpu", "*.ga10b", "*.gv11b", "gpu-gpc-*")  # Jetson's own, by JetPack: 6 and 7 on Orin, 5, 5, Thor


@dataclass(frozen=True)
class Power:
    """None where the machine does not say."""

    mhz: float | None  # of the cores now, their median
    max_mhz: float | None
    governor: str | None  # "performance", "powersave", ...; several where the cores differ
    mode: str | None  # Jetson's power mode, or the firmware's platform profile
    fastest_mode: str | None  # of a Jetson, by nvpmodel's configuration
    fastest_mode_id: int | None  # as `nvpmodel -m` takes it
    gpu_mhz: float | None  # of a Jetson's GPU now; the next two are where its clock may move
    gpu_low_mhz: float | None
    gpu_high_mhz: float | None
    gpu_persistence: bool | None  # whether the driver of a PC's GPUs stays loaded between programs
    load: float | None  # processes that wanted to run, mean over the last minute


@dataclass(frozen=True)
class _Mode:
    """One of nvpmodel's power modes."""

    number: int
    name: str

    @property
    def rank(self) -> tuple[bool, int]:
        """Modes are named after their limit in watts; MAXN, and MAXN_SUPER beside it, have none."""
        watts = re.search(r"(\d+)W", self.name)
        return self.name.startswith("MAXN"), int(watts[1]) if watts else len(self.name)


def read_power(root: Path = Path("/")) -> Power:
    """From cpufreq, devfreq, /proc/cpuinfo, nvpmodel, nvidia-smi, the ACPI platform profile and /proc/loadavg."""
    policies = sorted((root / _CPUS).glob("cpu[0-9]*/cpufreq"))
    now = _megahertz(policies, "scaling_cur_freq", 1e3) or [
        float(mhz) for mhz in re.findall(r"^cpu MHz\s*: ([\d.]+)", text_of(root / "proc/cpuinfo"), re.MULTILINE)
    ]
    highest = _megahertz(policies, "cpuinfo_max_freq", 1e3)
    governors = {text_of(policy / "scaling_governor").strip() for policy in policies} - {""}
    gpus = sorted(folder for pattern in _GPUS for folder in (root / _DEVFREQ).glob(pattern))
    mode, fastest = _nvpmodel(root)
    load = text_of(root / "proc/loadavg").split()
    return Power(
        mhz=statistics.median(now) if now else None,
        max_mhz=max(highest, default=None),
        governor=", ".join(sorted(governors)) or None,
        mode=mode or text_of(root / "sys/firmware/acpi/platform_profile").strip() or None,
        fastest_mode=fastest.name if fastest else None,
        fastest_mode_id=fastest.number if fastest else None,
        gpu_mhz=max(_megahertz(gpus, "cur_freq", 1e6), default=None),
        gpu_low_mhz=min(_megahertz(gpus, "min_freq", 1e6), default=None),
        gpu_high_mhz=max(_megahertz(gpus, "max_freq", 1e6), default=None),
        gpu_persistence=_persistence(root),
        load=float(load[0]) if load else None,
    )


def _megahertz(folders: list[Path], name: str, unit: float) -> list[float]:
    """The values of one file of every core or GPU, in MHz; `unit` is what the kernel counts there, per MHz."""
    texts = (text_of(folder / name).strip() for folder in folders)
    return [int(text) / unit for text in texts if text.isdecimal()]


def _nvpmodel(root: Path) -> tuple[str | None, _Mode | None]:
    """The power mode of a Jetson by its name, e.g. "MAXN" or "15W", and the fastest that its configuration has.

    A Jetson that was never told otherwise has no status file and is in the configuration's default mode.
    """
    text = text_of(root / "etc/nvpmodel.conf")
    rows = re.findall(r"^<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=([^\s>]+)", text, re.MULTILINE)
    modes = {int(number): _Mode(int(number), name) for number, name in rows}
    fastest = max(modes.values(), key=lambda mode: mode.rank, default=None)
    status = re.search(r"pmode:(\d+)", text_of(root / "var/lib/nvpmodel/status"))
    current = status or re.search(r"^<\s*PM_CONFIG\s+DEFAULT=(\d+)", text, re.MULTILINE)
    if current is not None:
        known = modes.get(int(current[1]))
        return known.name if known else current[1], fastest
    asked = re.search(r"NV Power Mode: (\S+)", run_tool("nvpmodel", "-q", root=root))
    return asked[1] if asked else None, fastest


def _persistence(root: Path) -> bool | None:
    """nvidia-smi says Enabled, Disabled, or, on a Jetson, that there is no such thing."""
    answers = {row[0] for row in query_gpus("persistence_mode", root)} & {"Enabled", "Disabled"}
    return answers == {"Enabled"} if answers else None
