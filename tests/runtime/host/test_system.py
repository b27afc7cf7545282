"""Machines, read from recorded trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clipspect.host.system import Gpu, cpu_quota, limited_cores, read_cpu, read_gpus, read_memory, usable_cores
from support.control_groups import limited, run_in

ORIN_CPU = """processor\t: 0
BogoMIPS\t: 62.50
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp uscat
CPU implementer\t: 0x41
CPU part\t: 0xd42
"""
XEON_CPU = """processor\t: 0
model name\t: INTEL(R) XEON(R) PLATINUM 8581C
flags\t\t: fpu avx2 avx512f avx512_vnni avx512_bf16 amx_bf16 amx_tile amx_int8 avx_vnni
"""


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_an_arm_processor_is_named_by_its_part(tmp_path: Path) -> None:
    cpu = read_cpu(write(tmp_path, {"proc/cpuinfo": ORIN_CPU}))
    assert (cpu.model, cpu.architecture) == ("Cortex-A78AE", "aarch64")
    assert cpu.features == ("NEON", "NEON fp16", "NEON dot product")


def test_an_x86_processor_shows_its_matrix_units(tmp_path: Path) -> None:
    cpu = read_cpu(write(tmp_path, {"proc/cpuinfo": XEON_CPU}))
    assert cpu.model == "INTEL(R) XEON(R) PLATINUM 8581C"
    assert {"AVX2", "AVX-512", "AVX-512 VNNI", "AVX-512 BF16", "AMX", "AMX BF16"} <= set(cpu.features)


def test_memory_is_in_bytes_or_unknown(tmp_path: Path) -> None:
    assert read_memory(tmp_path) is None
    memory = read_memory(
        write(tmp_path, {"proc/meminfo": "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  500 kB\n"})
    )
    assert memory is not None
    assert (memory.total, memory.available) == (1_024_000, 512_000)
    assert (memory.swap, memory.swap_devices) == (0, ())


def test_a_machine_without_proc_is_still_described(tmp_path: Path) -> None:
    cpu = read_cpu(tmp_path)
    assert cpu.cores >= 1
    assert cpu.features == ()


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("echo 'NVIDIA H100, 570.10, 81559 MiB, 9.0'", (Gpu("NVIDIA H100", "570.10", "81559 MiB", "9.0"),)),
        ("echo 'No devices were found'", ()),
        ("exit 9", ()),
    ],
)
def test_gpus_are_what_nvidia_smi_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, found: tuple[Gpu, ...]
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert read_gpus() == found


# --- cores -----------------------------------------------------------------------------------------------------------

EIGHT_CORES = {"proc/cpuinfo": "".join(f"processor\t: {number}\nmodel name\t: any\n\n" for number in range(8))}
V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/cpu,cpuacct"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        pytest.param({}, 8, id="no cgroups"),
        pytest.param({"proc/self/cgroup": "0::/", f"{V2}/cpu.max": "max 100000"}, 8, id="no limit"),
        pytest.param({"proc/self/cgroup": "0::/", f"{V2}/cpu.max": "200000 100000"}, 2, id="v2 in a container"),
        pytest.param({"proc/self/cgroup": "0::/", f"{V2}/cpu.max": "150000 100000"}, 2, id="rounded up"),
        pytest.param({"proc/self/cgroup": "0::/", f"{V2}/cpu.max": "1000 100000"}, 1, id="at least one"),
        pytest.param({"proc/self/cgroup": "0::/", f"{V2}/cpu.max": "1600000 100000"}, 8, id="more than there are"),
        pytest.param(
            {
                "proc/self/cgroup": "0::/system.slice/line.service",
                f"{V2}/system.slice/cpu.max": "300000 100000",
                f"{V2}/system.slice/line.service/cpu.max": "max 100000",
                f"{V2}/other.slice/cpu.max": "100000 100000",
            },
            3,
            id="v2, of the group above",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/docker/c0ffee\n1:name=systemd:/docker/c0ffee\n0::/",
                f"{V1}/cpu.cfs_quota_us": "400000\n",
                f"{V1}/cpu.cfs_period_us": "100000\n",
            },
            4,
            id="v1 in a container, which sees its group as the outermost",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/docker/c0ffee\n4:cpuset:/docker/c0ffee",
                f"{V1}/cpu.cfs_quota_us": "-1",
                f"{V1}/cpu.cfs_period_us": "100000",
                f"{V1}/docker/c0ffee/cpu.cfs_quota_us": "25000",
                f"{V1}/docker/c0ffee/cpu.cfs_period_us": "50000",
                "sys/fs/cgroup/cpuset/cpu.cfs_quota_us": "1",
                "sys/fs/cgroup/cpuset/cpu.cfs_period_us": "1",
            },
            1,
            id="v1",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "3:cpu:/\n0::/a",
                "sys/fs/cgroup/unified/a/cpu.max": "500000 100000",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "700000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            5,
            id="both: the smaller",
        ),
        pytest.param({"proc/self/cgroup": "0::/../..", f"{V2}/cpu.max": "50000 0"}, 8, id="damaged"),
        pytest.param({"proc/self/cgroup": "what is this", f"{V2}/cpu.max": ""}, 8, id="unreadable"),
    ],
)
def test_usable_cores_are_no_more_than_the_containers_quota(tmp_path: Path, files: dict[str, str], cores: int) -> None:
    root = write(tmp_path, {**EIGHT_CORES, **files})
    assert usable_cores(root) == cores
    assert read_cpu(root).cores == cores
    assert limited_cores(root) == (cores if cores < 8 else None)


def test_without_a_quota_usable_cores_are_those_of_the_affinity() -> None:
    if cpu_quota() is not None:
        pytest.skip("needs a machine whose CPU time is not limited")
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, sorted(cores)[:1])
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, cores)


def test_the_kernels_own_quota_is_read() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    code = "from clipspect.host.system import *; print(cpu_quota(), usable_cores(), limited_cores())"
    with limited(0.9) as group:
        assert run_in(group, code).split() == ["0.9", "1", "1"]
