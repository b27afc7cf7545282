"""What machine this is: processor, memory, NVIDIA GPU, Jetson. Read from files under a root, so that
a recorded tree of another machine reads the same."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

# what makes inference fast, by the kernel's names for it
_FEATURES = {
    "avx2": "AVX2", "avx512f": "AVX-512", "avx_vnni": "AVX-VNNI", "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16", "amx_tile": "AMX", "amx_int8": "AMX int8", "amx_bf16": "AMX BF16",
    "asimd": "NEON", "asimdhp": "NEON fp16", "asimddp": "NEON dot product", "i8mm": "int8 matrices",
    "bf16": "BF16", "sve": "SVE", "sve2": "SVE2",
}  # fmt: skip
_ARM_PARTS = {"0xd08": "Cortex-A72", "0xd0b": "Cortex-A76", "0xd42": "Cortex-A78AE", "0xd83": "Neoverse-V3AE"}
_JETPACK_OF_L4T = {"35": "5", "36": "6", "38": "7"}  # by the major version of Jetson Linux
_SMI_SECONDS = 10


@dataclass(frozen=True)
class Cpu:
    """The processor; `cores` are those that this process may use."""

    model: str
    architecture: str
    cores: int
    features: tuple[str, ...]


@dataclass(frozen=True)
class Memory:
    """Bytes of RAM."""

    total: int
    available: int


@dataclass(frozen=True)
class Gpu:
    """A row of nvidia-smi."""

    name: str
    driver: str
    memory: str
    compute_capability: str


@dataclass(frozen=True)
class Jetson:
    """An NVIDIA Jetson; L4T is Jetson Linux's version."""

    model: str
    l4t: str | None
    jetpack: str | None


def read_cpu(root: Path = Path("/")) -> Cpu:
    """From /proc/cpuinfo; elsewhere what Python knows."""
    text = _read(root / "proc/cpuinfo") or ""
    fields = {
        key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())
    }
    flags = set((fields.get("flags") or fields.get("features") or "").split())
    part = fields.get("cpu part", "")
    model = fields.get("model name") or _ARM_PARTS.get(part) or platform.processor() or "unknown"
    features = tuple(label for flag, label in _FEATURES.items() if flag in flags)
    return Cpu(model, platform.machine(), usable_cores(), features)


def read_memory(root: Path = Path("/")) -> Memory | None:
    """From /proc/meminfo; None where there is none."""
    sizes = dict(re.findall(r"^(MemTotal|MemAvailable):\s+(\d+) kB", _read(root / "proc/meminfo") or "", re.MULTILINE))
    if "MemTotal" not in sizes:
        return None
    return Memory(int(sizes["MemTotal"]) * 1024, int(sizes.get("MemAvailable", 0)) * 1024)


def read_jetson(root: Path = Path("/")) -> Jetson | None:
    """From the device tree, /etc/nv_tegra_release and dpkg's record of the nvidia-jetpack package."""
    model = (_read(root / "proc/device-tree/model") or "").rstrip("\0\n")
    release = _read(root / "etc/nv_tegra_release") or ""
    if not release and "jetson" not in model.lower():
        return None
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", release)
    l4t = f"{found[1]}.{found[2]}" if found else None
    installed = re.search(
        r"^Package: nvidia-jetpack\n(?:\S.*\n| .*\n)*?Version: ([\d.]+)",
        _read(root / "var/lib/dpkg/status") or "",
        re.MULTILINE,
    )
    jetpack = installed[1] if installed else None
    if jetpack is None and found and found[1] in _JETPACK_OF_L4T:
        jetpack = f"{_JETPACK_OF_L4T[found[1]]}, by its Jetson Linux (nvidia-jetpack is not installed)"
    return Jetson(model or "unknown model", l4t, jetpack)


def read_gpus() -> tuple[Gpu, ...]:
    """What nvidia-smi lists; nothing where it is absent or fails."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = [program, "--query-gpu=name,driver_version,memory.total,compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=_SMI_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = [[cell.strip() for cell in line.split(",")] for line in answer.stdout.splitlines()]
    return tuple(Gpu(*row) for row in rows if len(row) == 4)


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
