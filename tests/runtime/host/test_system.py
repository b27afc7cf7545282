"""Machines, read from recorded trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clipspect.host.system import Gpu, read_cpu, read_gpus, read_memory

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
