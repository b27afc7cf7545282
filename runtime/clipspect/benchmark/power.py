"""What makes the same machine fast or slow today: clocks, governor, power mode, other work.

Read from files under a root, so that a recorded tree of another machine reads the same.
"""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from pathlib import Path

_CPUS = "sys/devices/system/cpu"


@dataclass(frozen=True)
class Power:
    """None where the machine does not say."""

    mhz: float | None  # of the cores now, their median
    max_mhz: float | None
    governor: str | None  # "performance", "powersave", ...; several where the cores differ
    mode: str | None  # Jetson's power mode, or the firmware's platform profile
    load: float | None  # processes that wanted to run, mean over the last minute


def read_power(root: Path = Path("/")) -> Power:
    """From cpufreq, /proc/cpuinfo, nvpmodel's status, the ACPI platform profile and /proc/loadavg."""
    policies = sorted((root / _CPUS).glob("cpu[0-9]*/cpufreq"))
    now = _kilohertz(policies, "scaling_cur_freq") or [
        float(mhz) for mhz in re.findall(r"^cpu MHz\s*: ([\d.]+)", _read(root / "proc/cpuinfo"), re.MULTILINE)
    ]
    highest = _kilohertz(policies, "cpuinfo_max_freq")
    governors = {_read(policy / "scaling_governor").strip() for policy in policies} - {""}
    load = _read(root / "proc/loadavg").split()
    return Power(
        mhz=statistics.median(now) if now else None,
        max_mhz=max(highest, default=None),
        governor=", ".join(sorted(governors)) or None,
        mode=_nvpmodel(root) or _read(root / "sys/firmware/acpi/platform_profile").strip() or None,
        load=float(load[0]) if load else None,
    )


def _kilohertz(policies: list[Path], name: str) -> list[float]:
    """The values of one file of every core, in MHz."""
    texts = (_read(policy / name).strip() for policy in policies)
    return [int(text) / 1e3 for text in texts if text.isdecimal()]


def _nvpmodel(root: Path) -> str | None:
    """The power mode of a Jetson by its name in nvpmodel's configuration, e.g. "MAXN" or "15W"."""
    number = re.search(r"pmode:(\d+)", _read(root / "var/lib/nvpmodel/status"))
    if number is None:
        return None
    modes = re.findall(r"POWER_MODEL\s+ID=(\d+)\s+NAME=([^\s>]+)", _read(root / "etc/nvpmodel.conf"))
    names: dict[int, str] = {int(mode): name for mode, name in modes}
    return names.get(int(number[1]), number[1])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
