"""Machines, read from recorded trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from clipspect.system import Gpu, Jetson, read_cpu, read_gpus, read_jetson, read_memory

ORIN_RELEASE = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"
DPKG = """Package: nvidia-l4t-core
Status: install ok installed
Version: 36.4.3-20250107174145

Package: nvidia-jetpack
Status: install ok installed
Priority: standard
Description: NVIDIA Jetpack Meta Package
 continued here
Version: 6.2+b77

Package: zlib1g
Version: 1:1.2.11
"""
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


def test_an_orin_with_jetpack_is_recognised(tmp_path: Path) -> None:
    tree = {
        "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
        "etc/nv_tegra_release": ORIN_RELEASE,
        "var/lib/dpkg/status": DPKG,
    }
    assert read_jetson(write(tmp_path, tree)) == Jetson("NVIDIA Jetson AGX Orin Developer Kit", "36.4.3", "6.2")


def test_a_jetson_without_the_jetpack_package_is_told_by_its_linux(tmp_path: Path) -> None:
    tree = {"proc/device-tree/model": "NVIDIA Jetson Orin Nano\0", "etc/nv_tegra_release": ORIN_RELEASE}
    jetson = read_jetson(write(tmp_path, tree))
    assert jetson is not None
    assert (jetson.jetpack or "").startswith("6, by its Jetson Linux")


def test_a_container_on_a_jetson_shows_what_it_can(tmp_path: Path) -> None:
    jetson = read_jetson(write(tmp_path, {"proc/device-tree/model": "NVIDIA Jetson Orin NX\0"}))
    assert jetson == Jetson("NVIDIA Jetson Orin NX", None, None)


def test_other_boards_and_servers_are_no_jetson(tmp_path: Path) -> None:
    assert read_jetson(tmp_path) is None
    assert read_jetson(write(tmp_path, {"proc/device-tree/model": "Raspberry Pi 5 Model B\0"})) is None


def test_an_arm_processor_is_named_by_its_part(tmp_path: Path) -> None:
    cpu = read_cpu(write(tmp_path, {"proc/cpuinfo": ORIN_CPU}))
    assert cpu.model == "Cortex-A78AE"
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


def test_doctor_says_when_a_gpu_is_left_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from clipspect.backends.onnxruntime import devices
    from clipspect.cli import doctor

    if "cuda" in devices():
        pytest.skip("needs an onnxruntime without CUDA: pip install onnxruntime")
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H100, 570.10, 81559 MiB, 9.0'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    advice = doctor.examine(tmp_path)["advice"]
    assert any("no engine scores on it" in line and 'pip install "clipspect[gpu]"' in line for line in advice)
