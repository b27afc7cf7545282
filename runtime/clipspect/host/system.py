"""What machine this is: processor, memory, swap, NVIDIA GPUs. Read from files under a root, so that a recorded tree of
another machine reads the same."""

from __future__ import annotations

import math
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
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
_CGROUPS = "sys/fs/cgroup"
_TOOL_FOLDERS = ("usr/sbin", "usr/bin")  # of a recorded tree
_TOOL_SECONDS = 10


@dataclass(frozen=True)
class Cpu:
    """The processor; `cores` are those that this process may use, as `usable_cores` counts them."""

    model: str
    architecture: str  # "x86_64", "aarch64"
    cores: int
    features: tuple[str, ...]


@dataclass(frozen=True)
class Memory:
    """Bytes of RAM and of swap."""

    total: int
    available: int
    swap: int
    swap_devices: tuple[str, ...]  # e.g. "/swapfile", "/dev/zram0": the latter is in RAM itself, compressed


@dataclass(frozen=True)
class Gpu:
    """A row of nvidia-smi."""

    name: str
    driver: str
    memory: str
    compute_capability: str


def read_device(root: Path = Path("/")) -> str | None:
    """The board's name from the device tree, or a computer's from the firmware's tables."""
    for names in (("proc/device-tree/model",), ("sys/class/dmi/id/sys_vendor", "sys/class/dmi/id/product_name")):
        texts = [text_of(root / name).strip("\0\n ") for name in names]
        if all(texts):
            return " ".join(texts)
    return None


def read_cpu(root: Path = Path("/")) -> Cpu:
    """From /proc/cpuinfo; elsewhere what Python knows."""
    fields = {
        key.strip().lower(): value.strip()
        for key, _, value in (line.partition(":") for line in text_of(root / "proc/cpuinfo").splitlines())
    }
    flags = set((fields.get("flags") or fields.get("features") or "").split())
    part = fields.get("cpu part", "")
    model = fields.get("model name") or _ARM_PARTS.get(part) or platform.processor() or "unknown"
    features = tuple(label for flag, label in _FEATURES.items() if flag in flags)
    return Cpu(model, _architecture(fields), usable_cores(root), features)


def read_memory(root: Path = Path("/")) -> Memory | None:
    """From /proc/meminfo and /proc/swaps; None where there is none."""
    rows = re.findall(r"^(MemTotal|MemAvailable|SwapTotal):\s+(\d+) kB", text_of(root / "proc/meminfo"), re.MULTILINE)
    sizes = {name: int(kilobytes) * 1024 for name, kilobytes in rows}
    if "MemTotal" not in sizes:
        return None
    swaps = text_of(root / "proc/swaps").splitlines()[1:]  # the first line names the columns
    devices = tuple(line.split()[0] for line in swaps if line.strip())
    return Memory(sizes["MemTotal"], sizes.get("MemAvailable", 0), sizes.get("SwapTotal", 0), devices)


def read_gpus(root: Path = Path("/")) -> tuple[Gpu, ...]:
    """What nvidia-smi lists; nothing where it is absent or fails."""
    rows = query_gpus("name,driver_version,memory.total,compute_cap", root)
    return tuple(Gpu(*row) for row in rows if len(row) == 4)


def query_gpus(fields: str, root: Path = Path("/")) -> list[list[str]]:
    """nvidia-smi's answer, a row each GPU."""
    answer = run_tool("nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader", root=root)
    return [[cell.strip() for cell in line.split(",")] for line in answer.splitlines()]


def run_tool(name: str, *arguments: str, root: Path = Path("/")) -> str:
    """What a program of the machine prints; empty where it is absent, fails or hangs.

    A recorded tree answers with its own programs, never with this machine's.
    """
    folders = None if root == Path("/") else os.pathsep.join(str(root / folder) for folder in _TOOL_FOLDERS)
    program = shutil.which(name, path=folders)
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=_TOOL_SECONDS, check=True, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def usable_cores(root: Path = Path("/")) -> int:
    """Cores that this process may use: those that it may run on, and no more than its container's share of their time.

    A share of 1.5 cores counts as 2. Of a recorded tree: of the processors in its /proc/cpuinfo.
    """
    cores = _cores(root)
    quota = cpu_quota(root)
    return cores if quota is None else min(cores, max(1, math.ceil(quota)))


def limited_cores(root: Path = Path("/")) -> int | None:
    """`usable_cores` where a quota makes them fewer, else None. Engines see the cores, not the quota: tell them."""
    cores = usable_cores(root)
    return cores if cores < _cores(root) else None


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Seconds of CPU time a second that this process's control groups leave it, e.g. 1.5; None: without a limit."""
    quotas = [quota for folder in _cgroup_folders(root) if (quota := _quota_of(folder)) is not None]
    return min(quotas, default=None)


def text_of(path: Path) -> str:
    """A file's text; empty where it is absent or may not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _architecture(cpuinfo: dict[str, str]) -> str:
    """By the vendor field, which each architecture's /proc/cpuinfo names in its own way."""
    if "cpu implementer" in cpuinfo:
        return "aarch64"
    return "x86_64" if "vendor_id" in cpuinfo else platform.machine()


def _cores(root: Path) -> int:
    """Without regard to quotas."""
    if root != Path("/"):
        return max(1, len(re.findall(r"^processor\s*:", text_of(root / "proc/cpuinfo"), re.MULTILINE)))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cgroup_folders(root: Path) -> Iterator[Path]:
    """The folders of this process's control group of CPU time, and of all groups that this one is in.

    A container mostly sees its own group as the outermost one, whatever path /proc names: what is not there is skipped.
    """
    rows = re.findall(r"^\d+:([^:\n]*):(.*)$", text_of(root / "proc/self/cgroup"), re.MULTILINE)
    for controllers, path in rows:
        if controllers and "cpu" not in controllers.split(","):
            continue
        # version 1 is mounted by the controllers' names, version 2 alone, or beside version 1 as "unified"
        for mount in (controllers, "cpu") if controllers else ("", "unified"):
            folder = root / _CGROUPS / mount
            yield folder
            for name in path.split("/"):
                if name not in {"", ".."}:
                    folder /= name
                    yield folder


def _quota_of(cgroup: Path) -> float | None:
    """Of one control group, of version 2 ("max 100000" is no limit) or 1 (-1 is none)."""
    text = text_of(cgroup / "cpu.max")
    text = text or " ".join(text_of(cgroup / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    limit = re.match(r"(\d+) ([1-9]\d*)", text)
    return int(limit[1]) / int(limit[2]) if limit else None
